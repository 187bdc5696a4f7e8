import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openGiven, type HeldBytes } from "./given-bytes.ts";

const MIB = 1024 * 1024;
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
    expect(Math.max(...seen)).toBeLessThanOrEqual(MIB);
    expect(most).toBeLessThanOrEqual(2);
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
