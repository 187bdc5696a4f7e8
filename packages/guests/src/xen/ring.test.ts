/** Dom0's end of a domain's console (ring.pl) beside a guest that keeps to the rules, and one that does not. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { until } from "../../../../test/until.ts";
import { PLACES, openGuestRing, type GuestRing } from "./ring.fixture.ts";

const [IN_BYTES, OUT_BYTES] = [1_024, 2_048];
let ring: GuestRing;
afterEach(() => ring.close());

/** As a guest's kernel does, as far as there is room; how much was taken. */
async function say(bytes: Buffer): Promise<number> {
  const produced = await ring.number(PLACES.outProduced);
  const room = OUT_BYTES - ((produced - (await ring.number(PLACES.outConsumed))) >>> 0);
  const taken = bytes.subarray(0, room);
  for (const [at, byte] of taken.entries())
    await ring.page.write(Buffer.of(byte), 0, 1, PLACES.out + (((produced + at) >>> 0) & (OUT_BYTES - 1)));
  await ring.setNumber(PLACES.outProduced, (produced + taken.length) >>> 0);
  ring.call();
  return taken.length;
}

/** What the host has said since. */
async function hear(): Promise<Buffer> {
  const [consumed, produced] = [await ring.number(PLACES.inConsumed), await ring.number(PLACES.inProduced)];
  const bytes = Buffer.alloc((produced - consumed) >>> 0);
  for (let at = 0; at < bytes.length; at++) await ring.page.read(bytes, at, 1, PLACES.in + (((consumed + at) >>> 0) & (IN_BYTES - 1)));
  await ring.setNumber(PLACES.inConsumed, produced);
  ring.call();
  return bytes;
}

test.each([0, 2 ** 32 - 700])("every byte goes round the rings both ways, from %d on", async (from) => {
  ring = await openGuestRing(from);
  const bytes = randomBytes(9_000);
  const come: Buffer[] = [];
  ring.wire.on("data", (part: Buffer) => come.push(part));
  for (let at = 0; at < bytes.length;) {
    at += await say(bytes.subarray(at));
    await until(async () => (await ring.number(PLACES.outConsumed)) === (await ring.number(PLACES.outProduced)));
  }
  await until(async () => Buffer.concat(come).length === bytes.length);
  expect(Buffer.concat(come).equals(bytes)).toBe(true);

  ring.wire.write(bytes);
  let heard = Buffer.alloc(0);
  await until(async () => (heard = Buffer.concat([heard, await hear()])).length >= bytes.length);
  expect(heard.equals(bytes)).toBe(true);
});

test("who comes later goes on where the rings stand", async () => {
  ring = await openGuestRing(5_000);
  await say(Buffer.from("later"));
  expect(String((await once(ring.wire, "data"))[0])).toBe("later");
  expect(await ring.number(PLACES.inProduced)).toBe(5_000);
});

test.each([
  ["says that more is in its ring than fits", PLACES.outProduced, OUT_BYTES + 1],
  ["says that it has taken what it was never given", PLACES.inConsumed, 1],
])("a guest that %s is left, and nothing of the rest is read", async (_, at, value) => {
  ring = await openGuestRing();
  await ring.setNumber(at, value);
  ring.call();
  ring.wire.write("x");
  expect(await ring.ended).not.toBe(0);
});

test("a guest is read no further than its customer is, and is not given more than fits", async () => {
  ring = await openGuestRing();
  ring.wire.pause();
  let stuck = 0;
  for (let taken = 0; stuck < 40; taken += 1) {
    const went = await say(Buffer.alloc(OUT_BYTES, taken));
    stuck = went === 0 ? stuck + 1 : 0;
    if (taken > 1_000) break;
  }
  expect(stuck).toBe(40);
  ring.wire.write(Buffer.alloc(3 * IN_BYTES));
  await until(async () => (await ring.number(PLACES.inProduced)) === IN_BYTES);
});

test("it ends with whoever has its other end", async () => {
  ring = await openGuestRing();
  ring.wire.destroy();
  expect(await ring.ended).toBe(0);
});
