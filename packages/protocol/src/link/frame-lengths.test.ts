import { expect, it } from "vitest";
import { FrameLengths } from "./frame-lengths.ts";

const MASKED = 128;

/** A client's binary frame. */
function frame(size: number): Buffer {
  const head =
    size < 126
      ? [MASKED | size]
      : size < 65_536
        ? [MASKED | 126, size >> 8, size & 255]
        : [MASKED | 127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 255, size & 255];
  return Buffer.concat([Buffer.from([0x82, ...head, 0, 0, 0, 0]), Buffer.alloc(size, 0xff)]);
}

/** What was taken at once, one after the other, where so much comes at a time. */
function taken(bytes: Buffer, comes: number, [shortMax, longMax] = [4_096, 65_536]): { lengths: number[]; long: number } {
  const lengths: number[] = [];
  let long = 0;
  const frames = new FrameLengths();
  for (let at = 0; at < bytes.length; at += comes)
    for (let come = bytes.subarray(at, at + comes); come.length > 0;) {
      const { length, longFrom } = frames.take(come, shortMax, longMax);
      lengths.push(length);
      if (longFrom < length) long += length;
      come = come.subarray(length);
    }
  return { lengths, long };
}

it("takes short frames in few, and a long one whole", () => {
  const short = Buffer.concat(Array.from({ length: 1_000 }, () => frame(10)));
  expect(taken(short, short.length)).toEqual({ lengths: [4_096, 4_096, 4_096, 3_712], long: 0 });
  expect(taken(frame(60_000), 100_000)).toEqual({ lengths: [60_008], long: 60_008 });
  expect(taken(frame(100_000), 200_000).lengths).toEqual([14 + 65_536, 100_000 - 65_536]);
});

it("never takes what follows a long frame with it, however the bytes come", () => {
  const bytes = Buffer.concat([frame(5_000), ...Array.from({ length: 500 }, () => frame(0)), frame(70_000), frame(9)]);
  for (const comes of [1, 3, 7, 4_095, 4_096, 65_536, bytes.length]) {
    const { lengths, long } = taken(bytes, comes);
    expect(lengths.reduce((sum, each) => sum + each, 0)).toBe(bytes.length);
    expect(long).toBeLessThanOrEqual(5_008 + 70_014 + 500 * 6);
    expect(long).toBeGreaterThan(60_000);
  }
});

it("always goes on, whatever the bytes are", () => {
  const noise = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * 7_919) % 256));
  expect(taken(noise, 1_000).lengths.every((length) => length > 0)).toBe(true);
});
