import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { letGo } from "@xenoservers/protocol";
import { MemoryShare } from "@xenoservers/protocol/link";
import { readBody } from "./body.ts";
import { throwAway } from "./let-go.ts";

it("gives back what is nobody else's, and leaves what shares its memory", () => {
  const own = Buffer.from(new ArrayBuffer(9));
  const whole = new Uint8Array(9);
  const part = whole.subarray(0, 8);
  for (const bytes of [own, part]) letGo(bytes);
  expect([own.buffer.byteLength, whole.length]).toEqual([0, 9]);
});

it("gives back each piece of a body that nobody reads, and of one that was read", async () => {
  const pieces = (): Buffer[] => [3, 5].map((size) => Buffer.from(new ArrayBuffer(size)).fill("x"));
  const [unread, read] = [pieces(), pieces()];
  const refused = new PassThrough();
  throwAway(refused);
  for (const piece of unread) refused.emit("data", piece);
  const body = new PassThrough();
  const whole = readBody(body, { bytesMax: 100, share: new MemoryShare(1_000), withinMs: 600_000 });
  for (const piece of read) body.emit("data", piece);
  body.emit("end");
  expect((await whole).read).toMatchObject({ ok: true, bytes: Buffer.from("x".repeat(8)) });
  expect([...unread, ...read].map(({ buffer }) => buffer.byteLength)).toEqual([0, 0, 0, 0]);
});
