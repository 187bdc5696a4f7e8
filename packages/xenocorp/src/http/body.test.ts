import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { readBody } from "./body.ts";
import { MemoryShare } from "@xenoservers/protocol/link";

const bounds = (share: MemoryShare, withinMs = 60_000) => ({ bytesMax: 100, share, withinMs });
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);

it("gives a whole body, and holds its bytes until they are let go of", async () => {
  const share = new MemoryShare(1_000);
  const body = new PassThrough();
  const reading = readBody(body, bounds(share));
  body.write(bytes(60));
  body.end(bytes(40));
  const { read, free } = await reading;
  expect([read.ok && read.bytes.length, share.used]).toEqual([100, 100]);
  free();
  expect(share.used).toBe(0);
});

it.each([
  ["is larger than it may be", (body: PassThrough) => void body.write(bytes(101)), "body_too_large"],
  ["is cut off", (body: PassThrough) => void (body.write(bytes(5)), body.destroy()), "bad_request"],
  ["fails", (body: PassThrough) => void body.destroy(new Error("reset")), "bad_request"],
])("one that %s is refused, and nothing of it is held", async (_, spoil, code) => {
  const share = new MemoryShare(1_000);
  const body = new PassThrough();
  const reading = readBody(body, bounds(share));
  spoil(body);
  expect((await reading).read).toMatchObject({ ok: false, code });
  expect(share.used).toBe(0);
});

it("one that stops half-way is given up in its time", async () => {
  const share = new MemoryShare(1_000);
  const body = new PassThrough();
  body.write(bytes(50));
  expect((await readBody(body, bounds(share, 1))).read).toMatchObject({ ok: false, code: "too_slow", facts: { withinMs: 1 } });
  expect(share.used).toBe(0);
});

it("where there is no room the largest that is held goes, and says when to come again", async () => {
  const share = new MemoryShare(120);
  const [large, small] = [new PassThrough(), new PassThrough()];
  const halves = readBody(large, bounds(share));
  large.write(bytes(90));
  await until(() => share.used === 90);
  const whole = readBody(small, bounds(share));
  small.end(bytes(40));
  expect((await whole).read.ok).toBe(true);
  expect((await halves).read).toMatchObject({ ok: false, code: "overloaded", facts: { retryAfterMs: 5_000 } });
  expect(share.used).toBe(40);
});
