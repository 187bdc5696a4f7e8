import { appendFile, mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Promised } from "@xenoservers/protocol";
import { afterEach, beforeEach, expect, it } from "vitest";
import { keepPromise, keptPromises, type PromiseBounds } from "./kept-promises.ts";

let data: string;
beforeEach(async () => {
  data = await mkdtemp(path.join(tmpdir(), "xeno-promises-"));
});
afterEach(() => rm(data, { recursive: true, force: true }));

const NOVEMBER = Date.UTC(2026, 10, 27);
const DAY_MS = 86_400_000;
const promise = (size: number): Promised => ({
  ...{ origin: "o", epoch: "e0".repeat(16), size, leaf: "1".repeat(64), mergeBy: 1, keyid: "2".repeat(64), sig: "s" },
});
const LINE_BYTES = JSON.stringify(promise(100)).length + 1;
const BOUNDS: PromiseBounds = { fileBytes: 3 * LINE_BYTES, bytesMax: 10 * LINE_BYTES, ageMsMax: 400 * DAY_MS };
const kept = async (): Promise<number[]> => (await keptPromises(data)).map(({ size }) => size);
const files = (): Promise<string[]> => readdir(path.join(data, "promises"));
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

it("keeps what the broker promised where only its owner reads, beside what an earlier version kept", async () => {
  await writeFile(path.join(data, "promises.jsonl"), `${JSON.stringify(promise(1))}\n`);
  keepPromise(data, promise(2), NOVEMBER);
  keepPromise(data, promise(3), NOVEMBER + 7 * DAY_MS);
  expect(await kept()).toEqual([1, 2, 3]);
  expect(await files()).toEqual(["2026-11.0000.jsonl", "2026-12.0000.jsonl"]);
  expect((await stat(path.join(data, "promises", "2026-11.0000.jsonl"))).mode & 0o777).toBe(0o600);
  expect((await stat(path.join(data, "promises"))).mode & 0o777).toBe(0o700);
});

it("is bounded in bytes: the oldest go, and the newest are all there", async () => {
  await writeFile(path.join(data, "promises.jsonl"), `${JSON.stringify(promise(1))}\n`);
  for (const size of numbers(100, 150)) keepPromise(data, promise(size), NOVEMBER, BOUNDS);
  const left = await kept();
  expect(left.at(-1)).toBe(149);
  expect(left).toEqual(numbers(150 - left.length, 150));
  expect(left.length).toBeGreaterThanOrEqual(8);
  expect(left.length).toBeLessThanOrEqual(12);
});

it("goes on in the order of parts whatever the digits, and passes over what is no promise", async () => {
  await writeFile(path.join(data, "promises.jsonl"), "");
  keepPromise(data, promise(0), NOVEMBER, BOUNDS);
  for (const part of ["9999", "10000"])
    await writeFile(path.join(data, "promises", `2026-11.${part}.jsonl`), `${JSON.stringify(promise(Number(part)))}\n{"origin":"o`);
  await writeFile(path.join(data, "promises", "notes.txt"), "mine");
  await appendFile(path.join(data, "promises", "2026-11.10000.jsonl"), "\n".repeat(1_000));
  keepPromise(data, promise(1), NOVEMBER, BOUNDS);
  expect(await files()).toContain("2026-11.10001.jsonl");
  expect((await kept()).slice(-3)).toEqual([9_999, 10_000, 1]);
  expect(await files()).toContain("notes.txt");
});

it("is bounded in age", async () => {
  keepPromise(data, promise(1), NOVEMBER, BOUNDS);
  await utimes(path.join(data, "promises", "2026-11.0000.jsonl"), 1, NOVEMBER / 1_000);
  keepPromise(data, promise(2), NOVEMBER + 399 * DAY_MS, BOUNDS);
  expect(await kept()).toEqual([1, 2]);
  keepPromise(data, promise(3), NOVEMBER + 430 * DAY_MS, BOUNDS);
  expect(await kept()).not.toContain(1);
});
