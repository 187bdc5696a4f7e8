import { once } from "node:events";
import { pipeline } from "node:stream/promises";
import { Readable } from "node:stream";
import { expect, it } from "vitest";
import { streamPair } from "./stream-pair.ts";

it("carries both ways, and ends where its other end does", async () => {
  const [one, other] = streamPair();
  one.write("there");
  other.end("back");
  expect(String((await once(other, "data"))[0])).toBe("there");
  expect(Buffer.concat(await one.toArray()).toString()).toBe("back");
  one.end();
  other.resume();
  await once(other, "close");
});

it("lets no more be written than is read", async () => {
  const [one, other] = streamPair();
  const pieces = Array.from({ length: 100 }, () => Buffer.alloc(16 * 1024, 1));
  let drawn = 0;
  const source = Readable.from(
    (function* () {
      for (const piece of pieces) yield ((drawn++, piece));
    })(),
  );
  const sent = pipeline(source, one);
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(drawn).toBeLessThan(pieces.length);
  expect(Buffer.concat(await other.toArray())).toHaveLength(100 * 16 * 1024);
  other.end();
  await sent;
});
