import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { programOf } from "./program.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-program-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each(["image.tar", "image.tgz", "image.tar.zst"])("shows how the image in a file is run: %s", async (name) => {
  const file = path.join(folder, name);
  await writeFile(file, "");
  await expect(programOf({ file, args: [] })).rejects.toThrow(`write --image archive:${file}`);
});

it.each(["/data:/data", "./data:/work:ro", "../x:/x"])(
  "names the option for a folder that is brought in as container engines do: %s",
  async (file) => {
    await expect(programOf({ file, args: ["x.py"] })).rejects.toThrow(/is no program: a folder is brought in by --dir \S+::\/\w+$/);
  },
);
