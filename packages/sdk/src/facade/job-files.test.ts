import type { InputEntry } from "@xenoservers/protocol/channel";
import { expect, it } from "vitest";
import { collected, listed } from "./job-files.ts";

const file = (path: string, size: number): InputEntry => ({ path, kind: "file", digest: "0".repeat(64), size });
const tree: InputEntry[] = [
  { path: "out", kind: "directory" },
  file("out/a", 1),
  file("out/sub/b", 2),
  file("work/c", 3),
  file("outside", 4),
];

it("are those of /out, with their bytes", async () => {
  const files = await collected(tree, async ({ size }) => new Uint8Array(size));
  expect(files.map(({ name, bytes }) => [name, bytes?.length])).toEqual([
    ["a", 1],
    ["sub/b", 2],
  ]);
});

it("beyond what is held here none is fetched, and all are listed", async () => {
  const fetch = (): Promise<never> => Promise.reject(new Error("fetched"));
  const large = [...tree, file("out/large", 64 * 1024 * 1024)];
  expect(await collected(large, fetch)).toEqual(listed(large));
  expect(listed(large).map(({ name, bytes }) => [name, bytes])).toEqual([
    ["a", null],
    ["sub/b", null],
    ["large", null],
  ]);
});
