/** Who is told when a machine stands still for its host's full disk. On a disk that has room, so that it goes on at the first look. */
import { tmpdir } from "node:os";
import { expect, it } from "vitest";
import { FullDisk, NO_ROOM } from "./full-disk.ts";

it("tells once that it stands still, and once that it can go on", () => {
  const disk = new FullDisk(tmpdir());
  const told: (string | null)[] = [];
  disk.onChange((why) => told.push(why));
  expect([disk.look(), told]).toEqual([false, []]);
  disk.met();
  disk.met();
  expect(told).toEqual([NO_ROOM]);
  expect([disk.look(), disk.look()]).toEqual([false, false]);
  expect(told).toEqual([NO_ROOM, null]);
});

it("tells whoever comes later, as a daemon that finds the machine", () => {
  const disk = new FullDisk(tmpdir());
  disk.met();
  const told: (string | null)[] = [];
  disk.onChange((why) => told.push(why));
  expect(told).toEqual([NO_ROOM]);
});
