import { expect, it } from "vitest";
import { WholeFrames } from "./whole-frames.ts";

/** A server's binary frame. */
function frame(size: number, fill: number): Buffer {
  const head =
    size < 126 ? [size] : size < 65_536 ? [126, size >> 8, size & 255] : [127, 0, 0, 0, 0, 0, size >> 16, (size >> 8) & 255, size & 255];
  return Buffer.concat([Buffer.from([0x82, ...head]), Buffer.alloc(size, fill)]);
}

function handedOn(bytes: Buffer, comes: number): Buffer[] {
  const frames = new WholeFrames();
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += comes) {
    // as a socket has it that reads into the same memory over and over
    const come = Buffer.from(bytes.subarray(at, at + comes));
    for (let left = come; left.length > 0;) {
      const taken = frames.take(left);
      pieces.push(...taken.pieces);
      left = left.subarray(taken.length);
    }
    come.fill(0xee);
  }
  return pieces;
}

it("hands on all bytes in their order, however they come, and none of the memory in which they came", () => {
  const bytes = Buffer.concat([
    frame(5_000, 1),
    frame(3, 2),
    frame(0, 3),
    frame(65_567, 4),
    frame(200_000, 5),
    frame(4_095, 6),
    frame(9_000, 7),
  ]);
  for (const comes of [1_000, 4_096, 65_536, bytes.length]) {
    const pieces = handedOn(bytes, comes);
    expect(Buffer.concat(pieces).equals(bytes)).toBe(true);
    expect(pieces.every(({ buffer, length }) => buffer.byteLength === length)).toBe(true);
  }
});

it("hands on what a long frame holds in one piece that shares its memory with nothing", () => {
  const bytes = Buffer.concat([frame(65_567, 1), frame(65_567, 2), frame(4_096, 3)]);
  for (const comes of [1_100, 65_536, bytes.length]) {
    const long = handedOn(bytes, comes).filter(({ length }) => length >= 4_096);
    expect(long.map(({ length, buffer }) => [length, buffer.byteLength])).toEqual([65_567, 65_567, 4_096].map((size) => [size, size]));
  }
});

it("keeps no frame that comes in very many pieces, or that is very long, for its reader to refuse", () => {
  const [many, long] = [handedOn(frame(10_000, 1).subarray(0, 9_000), 100), handedOn(frame(500_000, 2).subarray(0, 300_000), 65_536)];
  expect(Buffer.concat(many).length).toBeGreaterThan(6_000);
  expect(Buffer.concat(long).length).toBe(300_000);
});

it("gives back what it keeps when nobody wants it any more", () => {
  const frames = new WholeFrames();
  const bytes = frame(60_000, 1);
  expect(frames.take(bytes.subarray(0, 30_000)).pieces.map(({ length }) => length)).toEqual([4]);
  frames.drop();
  expect(frames.take(bytes.subarray(30_000)).pieces.map(({ length }) => length)).toEqual([30_004]);
});
