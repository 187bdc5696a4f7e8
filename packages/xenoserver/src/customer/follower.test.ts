import { expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { Follower } from "./follower.ts";

const PART_BYTES = 64 * 1024;

/** A guest that has written so much to stdout, and goes on writing a byte each time it is read to the end; a channel that takes what it may. */
function chatty(stdout: number) {
  let size = stdout;
  const sent: { bytes: number; taken: () => void }[] = [];
  const channel = {
    mayTake: Number.POSITIVE_INFINITY,
    send: (_: object, { length: bytes }: Uint8Array) =>
      new Promise<void>((taken) => {
        sent.push({ bytes, taken });
        if (channel.mayTake-- > 0) taken();
      }),
  };
  const guest = {
    readStream: async (stream: "stdout" | "stderr", offset: number) => {
      if (stream === "stderr") return new Uint8Array(0);
      const bytes = new Uint8Array(Math.min(PART_BYTES, size - offset));
      if (bytes.length === 0) size++;
      return bytes;
    },
  };
  const all = (): number => sent.reduce((sum, { bytes }) => sum + bytes, 0);
  return { sent, all, channel, follower: new Follower(channel as never, guest as never, { stdout: 0, stderr: 0 }) };
}

it("has sent all there was when it comes to the end of both streams, though the guest goes on", async () => {
  const { all, follower } = chatty(100_000);
  expect(follower.isAhead).toBe(false);
  await follower.pump();
  expect([all(), follower.isAhead, follower.hasSent({ stdout: 100_000, stderr: 0 })]).toEqual([100_000, true, true]);
});

it("reads no more of the guest than its channel takes, and ends with it", async () => {
  const { sent, all, channel, follower } = chatty(PART_BYTES * 10);
  channel.mayTake = 2;
  const pumping = follower.pump();
  await until(() => sent.length === 3);
  expect([all(), follower.isAhead, follower.hasSent({ stdout: PART_BYTES * 10, stderr: 0 })]).toEqual([PART_BYTES * 3, false, false]);
  channel.mayTake = 1;
  sent[2]?.taken();
  await until(() => sent.length === 5);
  follower.stop();
  sent[4]?.taken();
  await pumping;
  expect([sent.length, follower.isAhead]).toEqual([5, false]);
});
