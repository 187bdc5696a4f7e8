import { link, lstat, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { giveNameOf, giveNameTo } from "./in-place.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-in-place-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));
const at = (name: string): string => path.join(folder, name);

it("what was written takes its name where the system says another disk of it by name than opened, as Node 22.12 does on Windows", async () => {
  await writeFile(at("part"), "new");
  await writeFile(at("file"), "old");
  const opened = { ...(await lstat(at("part"))), dev: 0 };
  await giveNameTo(opened, at("file"), at("part"));
  expect([await readFile(at("file"), "utf8"), await readdir(folder)]).toEqual(["new", ["file"]]);
});

it("what was written takes its name where the system numbers files by their names, as of FAT", async () => {
  await writeFile(at("part"), "new");
  await giveNameTo({ ...(await lstat(at("part"))), ino: 1 }, at("file"), at("part"));
  expect(await readdir(folder)).toEqual(["file"]);
});

it("what another has put in its place is left to that", async () => {
  await writeFile(at("mine"), "mine");
  await writeFile(at("part"), "another's");
  await expect(giveNameTo(await lstat(at("mine")), at("file"), at("part"))).rejects.toThrow("another copy of it has begun");
  expect((await readdir(folder)).sort()).toEqual(["mine", "part"]);
});

it("one more name of a file leaves nothing else, also where it has that name by another spelling", async () => {
  await writeFile(at("first"), "1");
  await writeFile(at("second"), "2");
  expect(await giveNameOf(at("first"), at("second"))).toBe(true);
  expect((await lstat(at("second"))).nlink).toBe(2);
  // as FIRST and first on macOS: the system moves none of them to the other, and says that it did
  await link(at("first"), at("FIRST"));
  expect(await giveNameOf(at("first"), at("FIRST"))).toBe(true);
  expect((await readdir(folder)).sort()).toEqual(["FIRST", "first", "second"]);
});

it("one more name that cannot be made, whatever the system says of it, is none", async () => {
  expect(await giveNameOf(at("nothing"), at("second"))).toBe(false);
  expect(await readdir(folder)).toEqual([]);
});
