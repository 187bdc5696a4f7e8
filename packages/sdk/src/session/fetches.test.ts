/** Bytes that are pulled from a server, which may be slow, gone, or lie. */
import { createHash } from "node:crypto";
import type { Channel, ChannelHeader } from "@xenoservers/protocol/channel";
import type { Timers } from "@xenoservers/protocol/link";
import { Random, SimClock } from "@xenoservers/testkit";
import { expect, it } from "vitest";
import { Fetches } from "./fetches.ts";

const BYTES = Buffer.alloc(600_000, "abc");
const FILE = { digest: createHash("sha256").update(BYTES).digest("hex"), size: BYTES.length };

/** A server that has that file, and answers each question once it is let. */
function setup() {
  const wants: Extract<ChannelHeader, { t: "want" }>[] = [];
  const channel = { send: async (header: ChannelHeader) => void (header.t === "want" && wants.push(header)) } as unknown as Channel;
  const clock = new SimClock(0, new Random(1));
  const pending = new Set<() => void>();
  const after: Timers["after"] = (ms, action) => {
    pending.add(action);
    const stop = clock.after(ms, () => (pending.delete(action), action()));
    return () => (pending.delete(action), stop());
  };
  const timers: Timers = { now: () => clock.now(), random: () => clock.random(), after };
  const fetches = new Fetches({ timers, channel: () => channel, closed: () => false });
  const answer = (change = (part: Uint8Array): Uint8Array => part): void => {
    for (const { digest, offset, length } of wants.splice(0))
      fetches.receive(digest, offset, change(BYTES.subarray(offset, offset + length)));
  };
  return { fetches, wants, answer, clock, pending };
}

it("comes to each who wants it, and is asked for once", async () => {
  const { fetches, wants, answer } = setup();
  const all = Promise.all([fetches.file(FILE), fetches.file(FILE), fetches.file(FILE)]);
  expect(wants.map(({ offset }) => offset)).toEqual([0, 258_048, 516_096]);
  answer();
  for (const bytes of await all) expect(BYTES.equals(bytes)).toBe(true);
});

it("is refused to each where it is not what was signed, or shorter", async () => {
  const { fetches, answer } = setup();
  const wrong = Promise.allSettled([fetches.file(FILE), fetches.file(FILE)]);
  answer((part) => part.map((byte) => byte ^ 1));
  expect(await wrong).toMatchObject([{ reason: { code: "not_delivered" } }, { reason: { code: "not_delivered" } }]);
  const short = fetches.file(FILE);
  answer((part) => part.subarray(1));
  await expect(short).rejects.toMatchObject({ code: "not_delivered" });
});

it("is not waited for without end where the server holds its channel up and sends nothing; a slow one is", async () => {
  const { fetches, wants, answer, clock, pending } = setup();
  const slow = fetches.file(FILE);
  const rest = wants.splice(1);
  for (const at of [100_000, 200_000, 300_000]) {
    await clock.runUntil(at);
    answer();
    wants.push(...rest.splice(0, 1));
  }
  expect(BYTES.equals(await slow)).toBe(true);
  expect(pending.size).toBe(0); // its program ends when it has the file
  const silent = fetches.file(FILE);
  silent.catch(() => {});
  await clock.runUntil(400_000);
  fetches.receive("0".repeat(64), 0, new Uint8Array(1)); // nobody has asked for it
  await clock.runUntil(421_000);
  await expect(silent).rejects.toMatchObject({ code: "not_delivered", message: expect.stringContaining("sent nothing") as string });
  expect(pending.size).toBe(0);
});
