import { mkdtemp, rm, statfs, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { needRoomToCarry, takenMib } from "./room-to-carry.ts";

const MIB = 1024 * 1024;
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-room-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

it("counts what a file takes, not what it could", async () => {
  const file = path.join(folder, "disk");
  await writeFile(file, Buffer.alloc(3 * MIB, 1));
  await truncate(file, 300 * MIB);
  expect(await takenMib(file)).toBeGreaterThanOrEqual(3);
  expect(await takenMib(file)).toBeLessThan(4);
  expect(await takenMib(path.join(folder, "none"))).toBe(0);
});

it("is refused in words where it is not there", async () => {
  const { blocks, bsize } = await statfs(folder);
  await expect(needRoomToCarry(folder, (blocks * bsize) / MIB)).rejects.toThrow(
    /^this server's disk has no room to save it: \d+ MiB have to be free, \d+ are$/,
  );
  await needRoomToCarry(folder, 0);
});
