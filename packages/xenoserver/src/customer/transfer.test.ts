/** Whose doing it is where a job's bytes do not come to lie on the server. */
import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import type { Channel, ChannelHeader } from "@xenoservers/protocol/channel";
import type { Journal } from "../lease/journal.ts";
import type { NeededBlob } from "../drivers/driver.ts";
import { createMemoryJournal } from "../lease/journal-memory.ts";
import { Transfer } from "./transfer.ts";

const bringer = { customer: "carl", account: "of carl" };
const bytes = new Uint8Array(100).fill(7);
const digest = createHash("sha256").update(bytes).digest("hex");

function transfer(needed: NeededBlob[], journal: Partial<Journal> = {}) {
  const sent: ChannelHeader[] = [];
  const inMemory = createMemoryJournal();
  const channel = { send: (header: ChannelHeader) => void sent.push(header) } as unknown as Channel;
  return { sent, one: new Transfer({ ...inMemory, ...journal }, { lease: "lease", bringer, keeps: true }, channel, needed) };
}

it("is nobody's where every byte comes and is right", async () => {
  const { sent, one } = transfer([
    { digest, size: 100 },
    { digest, size: 100 },
  ]);
  await one.start();
  expect(sent).toEqual([{ t: "want", digest, offset: 0, length: 100 }]);
  await one.receive(digest, 0, bytes);
  expect(await one.finished).toBeNull();
});

it("is the customer's where bytes are not the right ones, or one digest is named with two sizes", async () => {
  const wrong = transfer([{ digest, size: 100 }]);
  await wrong.one.start();
  for (let i = 0; i < 3; i++) await wrong.one.receive(digest, 0, new Uint8Array(100));
  expect(await wrong.one.finished).toMatchObject({ by: "customer", why: expect.stringContaining("digest") });
  const short = transfer([{ digest, size: 100 }]);
  await short.one.start();
  await short.one.receive(digest, 0, bytes.subarray(1));
  expect(await short.one.finished).toMatchObject({ by: "customer" });
  const two = transfer([
    { digest, size: 0 },
    { digest, size: 100 },
  ]);
  await two.one.start();
  expect(await two.one.finished).toMatchObject({ by: "customer", why: expect.stringContaining("two sizes") });
  expect(two.sent).toEqual([]);
});

it("is the host's where its disk does not take them", async () => {
  const full = () => Promise.reject(new Error("ENOSPC: no space left on device"));
  const blob = { size: 0, append: full, finish: full, close: async () => {} };
  for (const arriving of [full, async () => blob]) {
    const { one } = transfer([{ digest, size: 100 }], { arriving });
    await one.start();
    await one.receive(digest, 0, bytes).catch(() => {});
    expect(await one.finished).toMatchObject({ by: "host", why: expect.stringContaining("ENOSPC") });
  }
});
