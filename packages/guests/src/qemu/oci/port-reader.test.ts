/** The job's port as a guest that floods it: nothing it sends stands in anybody's way. */
import { PassThrough } from "node:stream";
import fc from "fast-check";
import { expect, it } from "vitest";
import { PortReader } from "./port-reader.ts";

const KIB = 1024;
const isAnswer = (line: string): string | null => (line === "answer" ? line : null);

it("gives everybody else a turn while a guest says nothing but lines", async () => {
  const port = new PassThrough({ highWaterMark: 64 * KIB });
  const reader = new PortReader(port);
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const answer = reader.line(isAnswer);
  const flood = Buffer.alloc(2 * KIB * KIB, "\n");
  port.write(flood);
  port.write("answer\n");
  expect(await answer).toBe("answer");
  isOver = true;
  // one for so many pieces, however fast they are
  expect(turns).toBeGreaterThanOrEqual(flood.length / 4_096 / 2);
});

it("holds no more than its bound: who sends on is stopped", async () => {
  const port = new PassThrough({ highWaterMark: 64 * KIB });
  const reader = new PortReader(port);
  let sent = 0;
  const push = (): void => {
    while (sent < 64 * KIB * KIB && port.write(Buffer.alloc(32 * KIB, "x"))) sent += 32 * KIB;
  };
  port.on("drain", push);
  push();
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(port.isPaused()).toBe(true);
  expect(sent).toBeLessThanOrEqual(512 * KIB);
  // and goes on where it is read
  expect((await reader.all(512 * KIB))?.length).toBe(512 * KIB);
  port.destroy();
  let rest = 0;
  for (let part = await reader.some(KIB * KIB); part; part = await reader.some(KIB * KIB)) rest += part.length;
  expect(rest).toBeLessThanOrEqual(512 * KIB);
});

it("finds the line that is meant, and every byte after it, however they come in pieces", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.string({ maxLength: 40 })), fc.integer({ min: 1, max: 60 }), async (lines, size) => {
      const before = lines.map((line) => line.replaceAll("\n", " ")).filter((line) => line !== "answer");
      const whole = Buffer.from(`${[...before, "answer"].join("\n")}\nrest`, "latin1");
      const port = new PassThrough();
      const reader = new PortReader(port);
      for (let at = 0; at < whole.length; at += size) port.write(whole.subarray(at, at + size));
      expect(await reader.line(isAnswer)).toBe("answer");
      expect((await reader.all(4))?.toString()).toBe("rest");
      port.destroy();
      expect(await reader.some(1)).toBeNull();
    }),
    { numRuns: 100, seed: 3 },
  );
});

it("takes a line without an end for what its last bytes say, and keeps no more of it", async () => {
  const port = new PassThrough();
  const reader = new PortReader(port);
  const found = reader.line((line) => (line.endsWith("ready") ? String(line.length) : null));
  port.write(Buffer.alloc(3 * KIB * KIB, "z"));
  port.write("ready\n");
  expect(await found).toBe("512");
});
