/** What several jobs print is held whole, of which little in memory, and nothing of it stays. */
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { HeldOutput } from "./held-output.ts";

const folders = async (): Promise<string[]> => (await readdir(tmpdir())).filter((name) => name.startsWith("xeno-replicas-"));
const MIB = 1024 * 1024;
let output: HeldOutput;
let before: string[];

beforeEach(async () => {
  before = await folders();
  output = new HeldOutput(2);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await output.close();
  expect(await folders()).toEqual(before);
});

const read = async (slot: number, stream: "stdout" | "stderr"): Promise<Buffer> => Buffer.concat(await output.whole(slot, stream));

it("holds few bytes in memory alone", async () => {
  await output.take(0, "stdout", Buffer.from("a"));
  await output.take(0, "stdout", Buffer.from("b"));
  await output.take(1, "stderr", Buffer.from("c"));
  expect([await read(0, "stdout"), await read(1, "stderr"), await read(1, "stdout")].map(String)).toEqual(["ab", "c", ""]);
  expect(await folders()).toEqual(before);
});

it("holds many in order, whoever waits for them to be taken", async () => {
  const parts = Array.from({ length: 40 }, (_, i) => Buffer.alloc(MIB / 8 + i, i));
  const taken = parts.map((bytes) => output.take(1, "stdout", bytes));
  await output.take(0, "stdout", Buffer.from("other"));
  await Promise.all(taken);
  expect(await folders()).toHaveLength(before.length + 1);
  expect((await read(1, "stdout")).equals(Buffer.concat(parts))).toBe(true);
  expect(String(await read(0, "stdout"))).toBe("other");
});

it("begins anew for one of them, in memory and in its file", async () => {
  for (const slot of [0, 1]) await output.take(slot, "stdout", Buffer.alloc(2 * MIB, "o"));
  await output.take(0, "stdout", Buffer.from("old"));
  output.restart(0);
  await output.take(0, "stdout", Buffer.from("new"));
  expect(String(await read(0, "stdout"))).toBe("new");
  expect(await read(1, "stdout")).toHaveLength(2 * MIB);
});

it("says in words that there is no room for it, to whoever reads it", async () => {
  vi.stubEnv("TMPDIR", "/dev/null/none");
  await output.take(0, "stdout", Buffer.alloc(2 * MIB));
  await output.take(0, "stdout", Buffer.alloc(2 * MIB));
  await expect(read(0, "stdout")).rejects.toThrow(/cannot be held in \/dev\/null\/none until it is shown \(ENOTDIR.*: make room there$/);
  vi.unstubAllEnvs();
});
