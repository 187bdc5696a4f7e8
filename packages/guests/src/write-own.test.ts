/** Files of this program's own are there whole, or as they were. */
import { mkdtemp, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeOwn, writeOwnAtOnce } from "./write-own.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-own-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe.each([
  ["in its turn", writeOwn],
  ["at once", async (file: string, text: string): Promise<void> => writeOwnAtOnce(file, text)],
])("a file that is written %s", (_, write) => {
  it("takes the place of what was there", async () => {
    const file = path.join(folder, "progress");
    await write(file, "prepared");
    await write(file, "begun");
    expect(await readFile(file, "utf8")).toBe("begun");
    expect(await readdir(folder)).toEqual(["progress"]);
  });

  it("that cannot be leaves what was there, and nothing of its own", async () => {
    const file = path.join(folder, "progress");
    await mkdir(file);
    await writeFile(path.join(file, "inside"), "");
    await expect(write(file, "begun")).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(await readdir(folder)).toEqual(["progress"]);
    await expect(write(path.join(folder, "nowhere", "progress"), "begun")).rejects.toThrow("ENOENT");
  });
});
