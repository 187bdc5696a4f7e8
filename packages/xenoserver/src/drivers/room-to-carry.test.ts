import { mkdtemp, rm, statfs, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { filesMib, needRoomToCarry } from "./room-to-carry.ts";

const MIB = 1024 * 1024;
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-room-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

it("counts what a folder's files take", async () => {
  await writeFile(path.join(folder, "disk"), Buffer.alloc(3 * MIB, 1));
  expect(await filesMib(folder)).toBeGreaterThanOrEqual(3);
  expect(await filesMib(folder)).toBeLessThan(4);
});

it("is refused in words where it is not there", async () => {
  const { blocks, bsize } = await statfs(folder);
  await expect(needRoomToCarry(folder, (blocks * bsize) / MIB)).rejects.toThrow(
    /^this server's disk has no room to save it: \d+ MiB have to be free, \d+ are$/,
  );
  await needRoomToCarry(folder, 0);
});
