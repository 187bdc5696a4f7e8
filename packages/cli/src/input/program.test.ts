import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { programOf } from "./program.ts";
import { pythonWords } from "./python-words.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-program-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each(["image.tar", "image.tgz", "image.tar.zst"])("shows how the image in a file is run: %s", async (name) => {
  const file = path.join(folder, name);
  await writeFile(file, "");
  await expect(programOf({ file, args: [] })).rejects.toThrow(`write --image archive:${file}`);
});

it("takes an archive of Python's for a script, and shows how a folder that is a program is run", async () => {
  const archive = path.join(folder, "tool.pyz");
  await writeFile(archive, "");
  await mkdir(path.join(folder, "tool"));
  await writeFile(path.join(folder, "tool/__main__.py"), "");
  expect(await programOf({ file: archive, args: ["a"] })).toEqual({ file: archive, args: ["a"] });
  expect(await pythonWords({ file: "python3", args: [archive, "a"] })).toMatchObject({ script: { file: archive }, args: ["a"] });
  await expect(pythonWords({ file: "python3", args: [path.join(folder, "tool")] })).rejects.toThrow(
    `xeno run --dir ${folder}::/ python3 -c 'import runpy; runpy.run_path("tool", run_name="__main__")'`,
  );
});

it.each(["/data:/data", "./data:/work:ro", "../x:/x"])(
  "names the option for a folder that is brought in as container engines do: %s",
  async (file) => {
    await expect(programOf({ file, args: ["x.py"] })).rejects.toThrow(/is no program: a folder is brought in by --dir \S+::\/\w+$/);
  },
);
