/** One reader of events for all streams of a broker: what each hears, once and in order, whether it reads fast or not. */
import { EventEmitter } from "node:events";
import { afterEach, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { HandTimers } from "../hints/hand-timers.fixture.ts";
import type { Hints } from "../hints/hints.ts";
import { memoryHints } from "../hints/memory-hints.ts";
import { change } from "../store/contract.fixture.ts";
import { createMemoryStore } from "../store/memory.ts";
import type { Store } from "../store/store.ts";
import { EventFeed } from "./event-feed.ts";
import { streamEvents } from "./event-stream.ts";
import { LiveKeys } from "./live-keys.ts";
import type { PartySession } from "./sessions.ts";

/** So long that only hints wake a feed. */
const NEVER_MS = 2 ** 30;

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

function feedOf(store: Store, hints = memoryHints()): EventFeed {
  const failed = (error: unknown): void => {
    throw error;
  };
  const feed = new EventFeed({ store, hints, failed, deaf: failed, pollMs: NEVER_MS });
  closing.push(() => feed.close());
  return feed;
}

let made = 0;
const happen = (store: Store, party: string, kinds: readonly string[]) =>
  store.commit([change({ id: `c${made++}`, events: kinds.map((kind) => ({ party, kind, lease: null, data: {}, at: 1 })) })]);

/** A connection that takes what is written only while it `reads`. */
class Connection extends EventEmitter {
  written = "";
  destroyed = false;
  reads = true;
  ended = false;
  get writableNeedDrain(): boolean {
    return !this.reads;
  }
  write(text: string): boolean {
    this.written += text;
    return this.reads;
  }
  end(text: string): this {
    this.written += text;
    this.ended = true;
    return this;
  }
  destroy(): this {
    this.destroyed = true;
    this.emit("close");
    return this;
  }
  /** The kinds of the events that were written. */
  get kinds(): string[] {
    return [...this.written.matchAll(/"kind":"(\w+)"/g)].map(([, kind]) => kind ?? "");
  }
}

const sessionOf = (party: string, leaseLabel: string | null = null): PartySession => ({
  by: "party",
  party,
  key: {
    ...{ id: `key of ${party}`, party, role: "device", label: "", scopes: ["read"], account: null, leaseLabel },
    ...{ maxSpendPerDayNanos: null, expiresAt: null, revokedAt: null, grant: "", announced: null, grantedBy: null, revocation: null },
  },
});

function open(store: Store, feed: EventFeed, party = "p_1", after: string | null = null, label: string | null = null) {
  const [out, timers] = [new Connection(), new HandTimers()];
  const live = new LiveKeys(timers, () => 0);
  const over = streamEvents(out as never, { store, feed, live, timers }, sessionOf(party, label), after);
  closing.push(async () => {
    out.emit("close");
    await over;
  });
  return { out, timers, live, over };
}

it("a stream hears what was before it and what comes, each once, and nothing of others", async () => {
  const store = createMemoryStore(() => 1);
  const feed = feedOf(store);
  await happen(store, "p_1", ["a", "b"]);
  const [{ out }, other] = [open(store, feed), open(store, feed, "p_2")];
  for (const kind of ["c", "d"]) {
    await happen(store, "p_1", [kind]);
    await happen(store, "p_2", [`x${kind}`]);
    feed.announce();
  }
  await until(() => out.kinds.length >= 4 && other.out.kinds.length >= 2);
  expect(out.kinds).toEqual(["a", "b", "c", "d"]);
  expect(other.out.kinds).toEqual(["xc", "xd"]);
});

it("a key that is bound to a label hears of leases of that label alone, however the events come", async () => {
  const store = createMemoryStore(() => 1);
  const feed = feedOf(store);
  const sides = { customer: "p_1", account: "a", owner: "p_o", serverKey: "k" };
  const lease = (id: string, label: string) => ({ kind: "lease" as const, id, expect: 0, data: { id, label, ...sides } as never });
  const event = (kind: string, of: string | null) => ({ party: "p_1", kind, lease: of, data: {}, at: 1 });
  await store.commit([
    change({ id: "leases", puts: [lease("l1", "mine"), lease("l2", "other")], events: [event("a1", "l1"), event("a2", "l2")] }),
  ]);
  const [bound, whole] = [open(store, feed, "p_1", null, "mine"), open(store, feed)];
  await until(() => bound.out.kinds.length === 1 && whole.out.kinds.length === 2);
  await store.commit([change({ id: "more", events: [event("b0", null), event("b2", "l2"), event("b3", "gone"), event("b1", "l1")] })]);
  feed.announce();
  await until(() => bound.out.kinds.length >= 2 && whole.out.kinds.length >= 6);
  expect(bound.out.kinds).toEqual(["a1", "b1"]);
  expect(whole.out.kinds).toEqual(["a1", "a2", "b0", "b2", "b3", "b1"]);
});

it("a stream that waits again and again leaves nothing behind", async () => {
  const store = createMemoryStore(() => 1);
  const seat = await feedOf(store).join({ party: "p_1", account: null, label: null, serverKey: null });
  const over = new AbortController();
  let listeners = 0;
  const { signal } = over;
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
  signal.addEventListener = (...given: Parameters<typeof add>) => (listeners++, add(...given));
  signal.removeEventListener = (...given: Parameters<typeof remove>) => (listeners--, remove(...given));
  for (let i = 0; i < 100; i++) {
    const taken = seat.take(signal);
    seat.put({ party: "p_1", kind: "k", lease: null, data: {}, at: 1, cursor: String(i) });
    expect(await taken).toHaveLength(1);
  }
  expect(listeners).toBe(0);
});

it("a thousand streams are one reader", async () => {
  const store = createMemoryStore(() => 1);
  let asked = 0;
  const counted: Store = { ...store, eventsOfAll: (...given) => (asked++, store.eventsOfAll(...given)) };
  const feed = feedOf(counted);
  const streams = Array.from({ length: 1_000 }, () => open(counted, feed));
  await happen(store, "p_1", ["a"]);
  feed.announce();
  await until(() => streams.every(({ out }) => out.kinds.length > 0));
  expect(streams.every(({ out }) => out.kinds.join() === "a")).toBe(true);
  expect(asked).toBeLessThan(10);
});

it("an event that was committed at another broker comes by its hint", async () => {
  const store = createMemoryStore(() => 1);
  const hints = memoryHints();
  const [here, there] = [feedOf(store, hints), feedOf(store, hints)];
  const { out } = open(store, here);
  await happen(store, "p_1", ["first"]);
  here.announce();
  await until(() => out.kinds.length === 1);
  await happen(store, "p_1", ["elsewhere"]);
  there.announce();
  await until(() => out.kinds.length === 2);
});

it("a hint that cannot be heard, or only late, delays no event", async () => {
  const store = createMemoryStore(() => 1);
  let asked = 0;
  const hints: Hints = { ...memoryHints(), listen: () => (asked++, new Promise(() => {})) };
  const feed = feedOf(store, hints);
  const { out } = open(store, feed);
  for (const kind of ["a", "b"]) {
    await happen(store, "p_1", [kind]);
    feed.announce();
    await until(() => out.kinds.at(-1) === kind);
  }
  expect(asked).toBe(1);
});

it("who does not read gets no more until it does, and then all of it", async () => {
  const store = createMemoryStore(() => 1);
  const feed = feedOf(store);
  const { out } = open(store, feed);
  await happen(store, "p_1", ["a0"]);
  feed.announce();
  await until(() => out.kinds.length === 1);
  out.reads = false;
  const kinds = Array.from({ length: 1_500 }, (_, i) => `b${i}`);
  for (const kind of kinds) await happen(store, "p_1", [kind]);
  feed.announce();
  const beside = open(store, feed);
  await until(() => beside.out.kinds.length === 1_501);
  expect(out.kinds.length).toBeLessThanOrEqual(2);
  out.reads = true;
  out.emit("drain");
  await until(() => out.kinds.length === 1_501);
  expect(out.kinds).toEqual(["a0", ...kinds]);
});

it("who reads nothing for long is cut with words, and goes on from its cursor", async () => {
  const store = createMemoryStore(() => 1);
  const feed = feedOf(store);
  const { out, timers, over } = open(store, feed);
  out.reads = false;
  await happen(store, "p_1", ["a", "b", "c"]);
  feed.announce();
  await until(() => timers.set.some(({ ms }) => ms === 30_000));
  timers.fire(30_000);
  await over;
  expect(out.written).toMatch(/event: cut\ndata: .*go on from the last cursor/);
  expect(out.kinds).toEqual(["a"]);
  timers.fire(30_000);
  expect(out.destroyed).toBe(true);
  const again = open(store, feed, "p_1", /id: (\S+)/.exec(out.written)?.[1] ?? null);
  await until(() => again.out.kinds.length >= 2);
  expect(again.out.kinds).toEqual(["b", "c"]);
});

it("a key that ends cuts its stream with the reason", async () => {
  const store = createMemoryStore(() => 1);
  const { out, live, over } = open(store, feedOf(store));
  live.revoked("key of p_1");
  await over;
  expect(out.written).toContain("key_revoked");
  expect(out.ended).toBe(true);
});
