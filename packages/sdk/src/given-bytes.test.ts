import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { AbortedError } from "./errors.ts";
import { openGiven, type HeldBytes, type ReadProgress } from "./given-bytes.ts";

const MIB = 1024 * 1024;
/** More at once would be felt by whoever uses the page meanwhile. */
const PIECE = MIB / 8;
const bytes = randomBytes(9 * MIB + 5);
const digest = createHash("sha256").update(bytes).digest("hex");

describe("bytes in place of a file", () => {
  it.each([
    ["a Blob", () => new Blob([bytes])],
    ["a File", () => new File([bytes], "disk.img")],
    ["bytes", () => new Uint8Array(bytes)],
    ["a stream", () => new Blob([bytes]).stream()],
  ])("are %s", async (what, make) => {
    const opened = await openGiven(make(), "--vm");
    expect([opened.name, opened.size]).toEqual([what === "a File" ? "disk.img" : "vm", bytes.length]);
    const blob = await opened.blob();
    expect([blob.digest, blob.size]).toEqual([digest, bytes.length]);
    for (const [offset, length] of [
      [0, 10],
      [4 * MIB - 1, 3],
      [bytes.length - 2, 10],
      [bytes.length, 10],
    ] as const)
      expect(Buffer.compare(await blob.read(offset, length), bytes.subarray(offset, offset + length))).toBe(0);
  });

  it("are read piece by piece, of which two are held at once", async () => {
    let [held, most] = [0, 0];
    const seen: number[] = [];
    const of = (from: number, to: number): HeldBytes => ({
      size: to - from,
      slice: (start = 0, end = to - from) => of(Math.min(from + start, to), Math.min(from + end, to)),
      async arrayBuffer() {
        seen.push(to - from);
        most = Math.max(most, ++held);
        await new Promise((resolve) => setImmediate(resolve));
        held--;
        return new ArrayBuffer(to - from);
      },
    });
    const opened = await openGiven(of(0, 64 * MIB), "--vm");
    expect(seen).toEqual([]);
    await opened.blob();
    expect(Math.max(...seen)).toBeLessThanOrEqual(PIECE);
    expect(most).toBeLessThanOrEqual(2);
  });

  it("tell how much of them was read", async () => {
    const told: ReadProgress[] = [];
    const reading = { onRead: (progress: ReadProgress) => void told.push(progress) };
    await (await openGiven(new File([bytes], "disk.img"), "--vm", reading)).blob();
    expect(told.map((each) => each.bytes)).toEqual([...Array.from({ length: (9 * MIB) / PIECE }, (_, i) => (i + 1) * PIECE), bytes.length]);
    expect(new Set(told.map(({ name, bytesInAll }) => `${name} ${bytesInAll}`))).toEqual(new Set([`disk.img ${bytes.length}`]));
    told.length = 0;
    await openGiven(new Blob([bytes]).stream(), "--vm", reading);
    expect(told.at(-1)).toEqual({ name: "vm", bytes: bytes.length, bytesInAll: null });
  });

  it("that nobody wants any more are read no further, also where a read has no end", async () => {
    const off = new AbortController();
    let pieces = 0;
    const held: HeldBytes = { size: 64 * MIB, slice: () => held, arrayBuffer: async () => (pieces++, new ArrayBuffer(MIB)) };
    const onRead = ({ bytes: read }: ReadProgress): void => void (read === 3 * MIB && off.abort());
    const opened = await openGiven(held, "--vm", { signal: off.signal, onRead });
    await expect(opened.blob()).rejects.toBeInstanceOf(AbortedError);
    expect(pieces).toBeLessThanOrEqual(5);
    // what was hashed before is sent by whoever ordered it
    expect((await opened.read(0, MIB)).length).toBe(MIB);
    const stuck: HeldBytes = { size: MIB, slice: () => stuck, arrayBuffer: () => new Promise(() => {}) };
    const later = new AbortController();
    const hashed = (await openGiven(stuck, "--vm", { signal: later.signal })).blob();
    later.abort();
    await expect(hashed).rejects.toBeInstanceOf(AbortedError);
    const cancelled = Promise.withResolvers<void>();
    const endless = new ReadableStream<Uint8Array>({ pull: (out) => out.enqueue(new Uint8Array(MIB)), cancel: () => cancelled.resolve() });
    const streamed = new AbortController();
    const halfway = ({ bytes: read }: ReadProgress): void => void (read === 4 * MIB && streamed.abort());
    await expect(openGiven(endless, "--vm", { signal: streamed.signal, onRead: halfway })).rejects.toThrow();
    await cancelled.promise;
  });

  it.each([
    ["bytes", new Uint8Array([1, 2, 3])],
    ["a Buffer", Buffer.from([1, 2, 3])],
  ])("that were changed by who handed them in are what they were: %s", async (_, own) => {
    const blob = await (await openGiven(own, "--kernel")).blob();
    own.fill(9);
    expect([...(await blob.read(0, 3))]).toEqual([1, 2, 3]);
  });

  it("that cannot be read say so, and what are none are refused", async () => {
    const gone: HeldBytes = { size: 5, slice: () => gone, arrayBuffer: () => Promise.reject(new Error("the file has changed")) };
    await expect((await openGiven(gone, "--vm")).blob()).rejects.toThrow("the file has changed");
    await expect(openGiven({} as HeldBytes, "--vm")).rejects.toMatchObject({ code: "bad_input" });
  });
});
