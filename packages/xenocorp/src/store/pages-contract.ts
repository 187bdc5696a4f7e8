/** What every Store must do with lists that are longer than a page, and with what is too old: across digits, ends of pages and epochs. */
import type { Transfer } from "@xenoservers/market";
import { describe, expect, it } from "vitest";
import { change, document, reader } from "./contract.fixture.ts";
import type { Reader } from "./reader.ts";
import type { Page, Put, Store } from "./store.ts";

/** One before and one after each change of how many digits a number has. */
const AROUND_DIGITS = [1, 9, 10, 11, 99, 100, 101, 999, 1_000, 1_001];
const COUNT = 1_001;

/** All rows of a list, page by page, each page of another length. */
async function allOf<T>(read: (after: string | null, limit: number) => Promise<Page<T>>, limits: readonly number[]): Promise<T[]> {
  const all: T[] = [];
  for (let [after, turn] = [null as string | null, 0]; ; turn++) {
    const limit = limits[turn % limits.length] ?? 1;
    const { rows, next } = await read(after, limit);
    all.push(...rows);
    expect(rows.length).toBeLessThanOrEqual(limit);
    if (next === null) return all;
    expect(rows).toHaveLength(limit);
    after = next;
  }
}

const lease = (id: string, issuedAt: number, over: object = {}): Put<"lease"> => ({
  kind: "lease",
  id,
  expect: 0,
  data: {
    ...{ id, customer: "p_1", owner: "p_2", account: "a_1", label: "x", serverKey: "k_1", server: "s_1", state: "open" },
    ...{ issuedAt, holdNanos: "0", deadlineAt: null, ...over },
  } as never,
});

const READERS: [string, Reader][] = [
  ["a customer", reader("p_1")],
  ["an owner", reader("p_2")],
  ["an account", reader("p_1", { account: "a_1" })],
  ["a label", reader("p_1", { label: "x" })],
  ["a label of an account", reader("p_1", { account: "a_1", label: "x" })],
  ["a server", reader("p_2", { serverKey: "k_1" })],
];

function listsPage(open: () => Promise<Store>): void {
  it("gives a statement page by page, each movement once, whatever the digits and what is new", async () => {
    const store = await open();
    const move = (i: number): Transfer => ({ id: `t${i}`, debit: "source/x", credit: "a/available", amount: BigInt(i + 1), short: null });
    const floors = [{ key: "source/x" as const, floor: null }];
    const transfers = Array.from({ length: COUNT }, (_, i) => move(i));
    await store.commit([change({ id: "c", floors, transfers: [...transfers, { ...move(0), id: "other", credit: "b/available" }] })]);
    const ids = transfers.map(({ id }) => id).reverse();
    expect((await allOf((after, limit) => store.statement("a", after, limit), [1, 7, 100])).map(({ id }) => id)).toEqual(ids);
    const first = await store.statement("a", null, 2);
    expect(first.rows.map(({ id, amount }) => [id, amount])).toEqual(ids.slice(0, 2).map((id, i) => [id, BigInt(COUNT - i)]));
    await store.commit([change({ id: "d", floors, transfers: [move(COUNT)] })]);
    await store.logStartEpoch({ epoch: 1, id: "e1", size: 0, root: "00", checkpoint: "c0" }, document("d0"));
    const rest = await allOf((after, limit) => store.statement("a", after ?? first.next, limit), [COUNT]);
    expect(rest.map(({ id }) => id)).toEqual(ids.slice(2));
    expect(await store.statement("a", null, COUNT + 1)).toMatchObject({ next: null });
    expect(await store.statement("nobody", null, 1)).toEqual({ rows: [], next: null });
  });

  it("gives leases page by page, each once, also where several are of one time", async () => {
    const store = await open();
    const times = AROUND_DIGITS.flatMap((at) => ["b", "a", "c"].map((name) => lease(`${name}${at}`, at)));
    const others = [lease("d5", 5, { customer: "p_9", account: "a_9", label: "y", owner: "p_9", serverKey: "k_9" })];
    await store.commit([change({ id: "c", puts: [...times, ...others] })]);
    const ids = AROUND_DIGITS.toReversed().flatMap((at) => ["c", "b", "a"].map((name) => `${name}${at}`));
    for (const [who, seen] of READERS)
      for (const live of [true, false])
        for (const limits of [[1], [2], [3, 4], [ids.length - 1], [ids.length], [99]]) {
          const all = await allOf((after, limit) => store.leasesOf(seen, live, after, limit), limits);
          expect(
            all.map(({ id }) => id),
            `${who}, ${live ? "live" : "all"}, pages of ${String(limits)}`,
          ).toEqual(ids);
        }
  });

  it("goes on with leases where a page ended, whatever came, ended or began meanwhile", async () => {
    const store = await open();
    await store.commit([change({ id: "c", puts: [lease("a9", 9), lease("a10", 10), lease("a99", 99), lease("a100", 100)] })]);
    const first = await store.leasesOf(reader("p_1"), false, null, 2);
    expect(first.rows.map(({ id }) => id)).toEqual(["a100", "a99"]);
    const ended = { ...lease("a10", 10, { state: "final" }), expect: 1 };
    await store.commit([change({ id: "d", puts: [lease("a1000", 1_000), lease("b99", 99), ended] })]);
    await store.logStartEpoch({ epoch: 1, id: "e1", size: 0, root: "00", checkpoint: "c0" }, document("d0"));
    expect(await store.leasesOf(reader("p_1"), false, first.next, 9)).toMatchObject({ rows: [{ id: "a10" }, { id: "a9" }], next: null });
    expect(await store.leasesOf(reader("p_1"), true, first.next, 9)).toMatchObject({ rows: [{ id: "a9" }], next: null });
  });
}

function oldGoes(open: () => Promise<Store>): void {
  const event = (at: number, party = "p_1") => ({ party, kind: `k${at}`, lease: null, data: {}, at });
  const after = async (store: Store, cursor: string | null) =>
    (await store.events(reader("p_1"), cursor, COUNT))?.map(({ kind }) => kind) ?? null;

  it("gives events by following cursors, each once, whatever the digits, and all of them again in another epoch", async () => {
    const store = await open();
    const kinds = Array.from({ length: COUNT }, (_, i) => `k${i}`);
    await store.commit([change({ id: "c", events: kinds.map((_, i) => event(i)) })]);
    const seen: string[] = [];
    let cursor: string | null = null;
    for (let events = await store.events(reader("p_1"), null, 90); events?.length; events = await store.events(reader("p_1"), cursor, 90)) {
      seen.push(...events.map(({ kind }) => kind));
      cursor = events.at(-1)?.cursor ?? null;
    }
    expect(seen).toEqual(kinds);
    await store.logStartEpoch({ epoch: 1, id: "e1", size: 0, root: "00", checkpoint: "c0" }, document("d0"));
    expect(await after(store, cursor)).toEqual(kinds);
  });

  it("drops events from the oldest on, and says so to who has not read them", async () => {
    const store = await open();
    await store.commit([change({ id: "c", events: [event(1), event(2), event(3), event(9), event(4)] })]);
    await store.commit([change({ id: "d", events: [event(1, "p_2"), event(5)] })]);
    const cursors = (await store.events(reader("p_1"), null, 9))?.map(({ cursor }) => cursor) ?? [];
    const [other] = (await store.events(reader("p_2"), null, 9)) ?? [];
    expect(await store.dropEvents(4, 2)).toBe(2);
    expect(await store.dropEvents(4, 2)).toBe(1);
    // one that happened before a later one is dropped after it
    expect(await store.dropEvents(9, 9)).toBe(0);
    expect(await after(store, null)).toEqual(["k9", "k4", "k5"]);
    expect(await after(store, cursors[0] ?? null)).toBeNull();
    expect(await after(store, cursors[1] ?? null)).toBeNull();
    expect(await after(store, cursors[2] ?? null)).toEqual(["k9", "k4", "k5"]);
    expect(await after(store, cursors[3] ?? null)).toEqual(["k4", "k5"]);
    // nothing of its own was dropped
    expect(await store.events(reader("p_2"), other?.cursor ?? null, 9)).toEqual([]);
    expect(await store.dropEvents(10, 9)).toBe(4);
    expect(await after(store, cursors[3] ?? null)).toBeNull();
    expect(await after(store, cursors[5] ?? null)).toEqual([]);
    expect(await store.events(reader("p_2"), other?.cursor ?? null, 9)).toEqual([]);
    await store.commit([change({ id: "e", events: [event(20)] })]);
    expect(await after(store, cursors[5] ?? null)).toEqual(["k20"]);
  });

  it("drops answers from the oldest on, and does nothing twice whose answer is gone", async () => {
    const store = await open();
    const stop = (id: string) => change({ id, documents: [document(id)] });
    await store.commit([stop("d1"), stop("d2"), stop("d3")]);
    expect(await store.dropAnswers(0, 9)).toBe(0);
    const later = (await store.now()) + 60_000;
    expect([await store.dropAnswers(later, 2), await store.dropAnswers(later, 2), await store.dropAnswers(later, 2)]).toEqual([2, 1, 0]);
    expect(await store.answerTo("d1")).toBeNull();
    // the others of its batch go on
    expect(
      (await store.commit([stop("d1"), stop("d4"), stop("d2")])).map((result) => [result.status, "what" in result && result.what]),
    ).toEqual([
      ["filed", "d1"],
      ["applied", false],
      ["filed", "d2"],
    ]);
    expect(await store.answerTo("d1")).toBeNull();
    expect((await store.logPending(9)).map(({ id }) => id)).toEqual(["d1", "d2", "d3", "d4"]);
  });
}

export function pagesContract(name: string, open: () => Promise<Store>): void {
  describe(`store contract, lists and what is old: ${name}`, () => {
    listsPage(open);
    oldGoes(open);
  });
}
