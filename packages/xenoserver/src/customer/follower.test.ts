import { expect, it } from "vitest";
import { Follower } from "./follower.ts";

const WINDOW_BYTES = 512 * 1024;
const PART_BYTES = 64 * 1024;

/** A guest that has written so much to stdout, and goes on writing a byte each time it is read to the end. */
function chatty(stdout: number) {
  let size = stdout;
  const sent: number[] = [];
  const channel = { send: (_: object, bytes: Uint8Array) => void sent.push(bytes.length) };
  const guest = {
    readStream: async (stream: "stdout" | "stderr", offset: number) => {
      if (stream === "stderr") return new Uint8Array(0);
      const bytes = new Uint8Array(Math.min(PART_BYTES, size - offset));
      if (bytes.length === 0) size++;
      return bytes;
    },
  };
  return { sent, follower: new Follower(channel as never, guest as never, { stdout: 0, stderr: 0 }) };
}
const sum = (sizes: readonly number[]): number => sizes.reduce((a, b) => a + b, 0);

it("has sent all there was when it comes to the end of both streams, though the guest goes on", async () => {
  const { sent, follower } = chatty(100_000);
  expect(follower.isAhead).toBe(false);
  await follower.pump();
  expect([sum(sent), follower.isAhead]).toEqual([100_000, true]);
});

it("is no more than a window ahead of what was seen, and has not sent all until it was", async () => {
  const { sent, follower } = chatty(WINDOW_BYTES * 2 + 10);
  await follower.pump();
  expect([sum(sent), follower.isAhead]).toEqual([WINDOW_BYTES, false]);
  follower.seen({ stdout: WINDOW_BYTES * 9, stderr: 0 });
  await follower.pump();
  expect([sum(sent), follower.isAhead]).toEqual([WINDOW_BYTES * 2, false]);
  follower.seen({ stdout: WINDOW_BYTES + 100, stderr: 0 });
  await follower.pump();
  expect([sum(sent), follower.isAhead]).toEqual([WINDOW_BYTES * 2 + 10, true]);
});
