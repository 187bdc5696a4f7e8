import { describe, expect, it } from "vitest";
import { bytesBlob } from "../blob.ts";
import { importsOf, pythonMounts, withSupport } from "./python.ts";

const script = (source: string) => ({ file: "./x.py", name: "x.py", blob: bytesBlob(new TextEncoder().encode(source)) });

it.each([
  ["import numpy", ["numpy"]],
  ["import numpy as np, os.path ; x = 1", ["numpy", "os"]],
  ["from pandas.core import frame", ["pandas"]],
  ["from . import own", []],
  ["try:\n    import numpy\nexcept ImportError:\n    numpy = None", []],
  ["\"\"\"\nimport numpy\n\"\"\"\nx = '''\nfrom a import b\n'''", []],
  ["# import numpy\nimportant = 1\nfrom_x = 2", []],
  ["import json # numpy", ["json"]],
])("%j imports %j", (source, names) => expect(importsOf(source)).toEqual(names));

describe("a script", () => {
  it("that imports what is not there is refused before anything is looked for, with the way out", async () => {
    const file = script("import json\nimport numpy, requests\n");
    await expect(pythonMounts(file, [])).rejects.toThrow(/imports numpy, requests, .*xeno run python:3\.12 .*x\.py/);
  });

  it("may import what its folders bring in", async () => {
    const brought = { mount: { path: "/work", writable: true, keep: true }, entries: [{ path: "lib/numpy", kind: "directory" as const }] };
    const { env } = await pythonMounts(script("import sys\nsys.path.append('/work/lib')\nimport numpy\n"), [brought]);
    expect(env).toEqual([["PYTHONDONTWRITEBYTECODE", "1"]]);
  });

  it("brings what it needs and no more", async () => {
    const names = async (source: string): Promise<string[]> =>
      (await pythonMounts(script(source), [])).mounts.flatMap(({ entries }) => entries.map((entry) => entry.path));
    expect(await names("print(1)")).toEqual(["x.py"]);
    expect(await names("import asyncio")).toEqual(["x.py", "sitecustomize.py"]);
  });
});

it("puts modules that were named before its own", () => {
  expect(withSupport([["PYTHONPATH", "/app"]], [["PYTHONPATH", "/work"]])).toEqual([["PYTHONPATH", "/work:/app"]]);
  expect(withSupport([], [["PYTHONPATH", "/work"]])).toEqual([["PYTHONPATH", "/work"]]);
});
