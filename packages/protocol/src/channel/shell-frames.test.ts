import { expect, test } from "vitest";
import { FRAME_BYTES_MAX, Frames, WholeFrames, frame } from "./shell-frames.ts";

const of = (...letters: string[]): Uint8Array => Buffer.concat(letters.map((letter) => frame(letter, Buffer.from(`to ${letter}`))));

test("frames are the same however they were cut", () => {
  const bytes = of("o", "e", "x");
  for (let cut = 0; cut <= bytes.length; cut++) {
    const frames = new Frames();
    const taken = [...frames.take(bytes.subarray(0, cut))!, ...frames.take(bytes.subarray(cut))!];
    expect(taken.map(({ letter, bytes: each }) => `${letter} ${Buffer.from(each).toString()}`)).toEqual(["o to o", "e to e", "x to x"]);
  }
});

test("the host passes on whole frames of a customer's, and nothing else", () => {
  const whole = new WholeFrames();
  const bytes = of("R", "I", "E");
  expect(Buffer.from(whole.take(bytes.subarray(0, 12))!)).toEqual(Buffer.from(of("R")));
  expect(Buffer.from(whole.take(bytes.subarray(12))!)).toEqual(Buffer.from(of("I", "E")));
  expect(new WholeFrames().take(of("P"))).toBeNull();
  expect(new WholeFrames().take(of("o"))).toBeNull();
  const large = frame("I", new Uint8Array(FRAME_BYTES_MAX + 1));
  expect(new WholeFrames().take(large.subarray(0, 5))).toBeNull();
});
