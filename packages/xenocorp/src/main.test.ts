import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { backup, restore } from "./backup.ts";
import { startBroker } from "./main.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-broker-main-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("starts on no archive that is none, and makes nothing for it", async () => {
  const file = path.join(folder, "file");
  await writeFile(file, "");
  const dataFolder = path.join(folder, "data");
  await expect(startBroker({ dataFolder, port: 0, archive: { folder: file, afterMs: 1 } })).rejects.toThrow(
    /^the archive's folder cannot be made: EEXIST/,
  );
  expect(await readdir(folder)).toEqual(["file"]);
});

it("names the folder that a backup has no place in, and the file that is to be restored and is not there", async () => {
  const gone = path.join(folder, "gone");
  await expect(backup({ dataFolder: folder }, path.join(gone, "b"))).rejects.toThrow(`there is no folder ${gone}: make it first`);
  await expect(restore({ dataFolder: folder }, gone)).rejects.toThrow(`there is no file ${gone}`);
});
