/** What says that GRUB boots a disk in a domain, wherever it lies in the image. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bootsByGrub, holdsBootSettings } from "./boot-settings.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-boots-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const PIECE = 64;
async function holds(text: string, at: number): Promise<boolean> {
  const file = path.join(folder, "disk");
  const bytes = Buffer.alloc(5 * PIECE + 7, 0xff);
  bytes.write(text, at, "latin1");
  await writeFile(file, bytes);
  return holdsBootSettings(file, PIECE);
}

it.each(["grub.cfg", "GRUB.CFG;1", "GRUB    CFG", "pvboot-x86_64.elf"])(
  "is found at each place, also across two pieces: %s",
  async (name) => {
    for (let at = 0; at <= 5 * PIECE + 7 - name.length; at++) expect(await holds(name, at), `at ${at}`).toBe(true);
  },
);

it.each(["", "grub.c", "bootmgr", "GRUB"])("is not seen where it is not: %j", async (name) => {
  expect(await holds(name, 10)).toBe(false);
});

it("is looked for once", async () => {
  const file = path.join(folder, "disk");
  const cache = { folder: path.join(folder, "cache"), bytesMax: 1024 * 1024 };
  await writeFile(file, "has grub.cfg");
  expect(await bootsByGrub(file, "disk-raw", cache)).toBe(true);
  await writeFile(file, "has nothing");
  expect(await bootsByGrub(file, "disk-raw", cache)).toBe(true);
  expect(await bootsByGrub(file, "other", cache)).toBe(false);
});
