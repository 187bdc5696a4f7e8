import { describe, expect, it } from "vitest";
import { bytesBlob } from "../blob.ts";
import { withSupport } from "../program-input.ts";
import { importsOf, scriptParts } from "../python-script.ts";
import { scriptPlace } from "./python.ts";

const script = (source: string) => ({
  ...{ file: "./x.py", name: "x.py", blob: bytesBlob(new TextEncoder().encode(source)) },
  folder: null,
});
type Script = Parameters<typeof scriptParts>[0];
const pythonMounts = (given: Script, brought: Parameters<typeof scriptParts>[1], isHere = false) =>
  scriptParts(given, brought, scriptPlace(given.file, isHere));

it.each([
  ["import numpy", ["numpy"]],
  ["import numpy as np, os.path ; x = 1", ["numpy", "os"]],
  ["import random;import lzma; from a.b import c", ["random", "lzma", "a"]],
  ["x = 1; import numpy # ; import pandas", ["numpy"]],
  ["if x: import numpy; import pandas\nprint('; import b ')\nimport os; print('; import c ')", ["os"]],
  ["from pandas.core import frame", ["pandas"]],
  ["from . import own", []],
  ["try:\n    import numpy\nexcept ImportError:\n    numpy = None", []],
  ["\"\"\"\nimport numpy\n\"\"\"\nx = '''\nfrom a import b\n'''", []],
  ["# import numpy\nimportant = 1\nfrom_x = 2", []],
  ["import json # numpy", ["json"]],
  ["x = (\"'''\", '\"\"\"')  # it's \"\"\"\ndef f():\n  '''of\nimport goods\n'''\nimport json", ["json"]],
  ["from a import (\n  b, # c\nimport_d)\r\nimport json\r", ["a", "json"]],
  ["if __name__ == '__main__':\n\n    import a\n    if b:\n        import c\n    from d import e\nimport f\n", ["a", "d", "f"]],
  ['if __name__ == "__main__": # runs\n\tfrom multiprocessing import Pool', ["multiprocessing"]],
  ["if __name__ == 'other':\n  import a", []],
  ["from concurrent.futures import as_completed, ProcessPoolExecutor", ["concurrent", "multiprocessing"]],
  ["from concurrent import futures\npool = futures.ProcessPoolExecutor()", ["concurrent", "multiprocessing"]],
  ['import runpy\nrunpy.run_module("pip.x", run_name="__main__", alter_sys=True)', ["runpy", "pip"]],
])("%j imports %j", (source, names) => expect(importsOf(source)).toEqual(names));

describe("a script", () => {
  it("that imports what is not there is refused before anything is looked for, with the way out", async () => {
    const file = script("import json\nimport numpy, requests\n");
    const packages = /numpy, requests, .*--target packages.*an image that has it \(xeno run python:3\.12 \.\/x\.py, with it installed\)/;
    await expect(pythonMounts(file, [], true)).rejects.toThrow(packages);
    await expect(pythonMounts(file, [])).rejects.toThrow(/has it \(xeno run python:3\.12 .*x\.py, with it installed\)$/);
    const image = /x\.py imports multiprocessing, .*an image that has it \(xeno run python:3\.12 \.\/x\.py\)/;
    await expect(pythonMounts(script("import multiprocessing"), [], true)).rejects.toThrow(image);
    await expect(pythonMounts(script("import lzma"), [])).rejects.toThrow(/an image that has it \(xeno run python:3\.12 .*x\.py\)$/);
  });

  it.each([
    ["an archive on its path", "import sys\nsys.path.insert(0, 'lib.zip')\nimport helper\n"],
    ["a file that it writes", "open('helper.py', 'w').write('')\nimport helper\n"],
    ["modules that it makes", "import sys\nsys.modules['helper'] = sys\nimport helper\n"],
  ])("may import from %s", async (_, source) => {
    await expect(pythonMounts(script(source), [])).resolves.toBeDefined();
    await expect(pythonMounts(script("import helper\n"), [])).rejects.toThrow("imports helper");
  });
  it("is told what Python has elsewhere, also where it has to do with archives: that lies in none", async () => {
    await expect(pythonMounts(script("import lzma, zipfile\nzipfile.ZipFile('a.zip', 'w', zipfile.ZIP_LZMA)\n"), [])).rejects.toThrow(
      /imports lzma, which Python on WASI has not/,
    );
    await expect(pythonMounts({ ...script("import helper, curses\n"), path: "/lib.zip" }, [])).rejects.toThrow("imports curses,");
    const own = { mount: { path: "/work", writable: false, keep: false }, entries: [{ path: "lzma.py", kind: "directory" as const }] };
    await expect(pythonMounts(script("import lzma\nopen('a.zip')\n"), [own])).resolves.toBeDefined();
  });
  it("may import from an archive on the path that was typed", async () => {
    await expect(pythonMounts({ ...script("import helper\n"), path: "/lib.zip" }, [])).resolves.toBeDefined();
  });

  it("may import what its folders bring in", async () => {
    const brought = { mount: { path: "/work", writable: true, keep: true }, entries: [{ path: "lib/numpy", kind: "directory" as const }] };
    const { env } = await pythonMounts(script("import sys\nsys.path.append('/work/lib')\nimport numpy\n"), [brought]);
    expect(env).toEqual([
      ["HOME", "/tmp"],
      ["PYTHONDONTWRITEBYTECODE", "1"],
    ]);
  });

  it("brings what it needs and no more", async () => {
    const before = async (source: string, ...support: string[]): Promise<string> => {
      const { mounts } = await pythonMounts(script(source), []);
      const [own, ...more] = mounts.flatMap(({ entries }) => [...entries]);
      expect([own?.path, ...more.map(({ path }) => path)]).toEqual(["x.py", "sitecustomize.py", ...support]);
      const [entry] = more;
      if (entry?.kind !== "file") throw new Error("it is no file");
      return new TextDecoder().decode(await entry.blob.read(0, entry.blob.size));
    };
    const plain = await before("print(1)");
    expect(plain).toMatch(/^import os\n[\s\S]{0,600}import sys\nsys\.stdout\.reconfigure\(line_buffering=True\)\n$/);
    const more = await before("def f():\n  import os\n", "_xeno.py");
    expect(more).toContain("class _Finder");
    expect(more.endsWith(plain)).toBe(true);
  });
});

it("puts modules that were named before its own", () => {
  expect(withSupport([["PYTHONPATH", "/app"]], [["PYTHONPATH", "/work"]])).toEqual([["PYTHONPATH", "/work:/app"]]);
  expect(withSupport([], [["PYTHONPATH", "/work"]])).toEqual([["PYTHONPATH", "/work"]]);
});
