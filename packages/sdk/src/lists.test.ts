/** Lists at a broker on paper: all of them, page by page, and what a broker may do wrong in them. */
import { refuse, type LeaseView, type RouteQueryInput } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import { RefusedError } from "./errors.ts";
import { allOf, eventsOf, listOf, pagesOf } from "./lists.ts";

type Client = Parameters<typeof listOf>[0];

/** Answers each question with what `reply` says; keeps the queries. */
function clientOf(reply: (name: string, query: Record<string, unknown>) => unknown) {
  const asked: Record<string, unknown>[] = [];
  const read = async (name: string, { query = {} }: { query?: Record<string, unknown> } = {}): Promise<unknown> => {
    asked.push({ name, ...query });
    const answer = reply(name, query);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  // as much of a client as lists need
  return { asked, client: { read, sleep: async () => {} } as Client };
}

const lease = (id: number) => ({ id: String(id) }) as LeaseView;
/** So many leases in pages as they are asked for. */
const leasesFrom = (count: number) =>
  clientOf((_, { after, limit }) => {
    const from = Number(after ?? 0);
    const end = Math.min(count, from + Number(limit));
    return { leases: Array.from({ length: end - from }, (_each, i) => lease(from + i)), next: end < count ? String(end) : null };
  });

describe("a list", () => {
  it("is read to its end, in pages as large as they may be", async () => {
    const { client, asked } = leasesFrom(2_001);
    const ids: string[] = [];
    for await (const { id } of listOf(client, "leases", { live: "true" })) ids.push(id);
    expect(ids).toEqual(Array.from({ length: 2_001 }, (_, i) => String(i)));
    const query = { name: "leases", live: "true", limit: 1_000 };
    expect(asked).toEqual([
      { ...query, after: undefined },
      { ...query, after: "1000" },
      { ...query, after: "2000" },
    ]);
  });

  it("is read no further than asked, from where it was asked", async () => {
    const { client, asked } = leasesFrom(2_001);
    const pages: RouteQueryInput<"leases">[] = [];
    for await (const { leases, next } of pagesOf(client, "leases", { after: "5" }, 1_200))
      pages.push({ after: next ?? "", limit: leases.length });
    expect(pages).toEqual([
      { after: "1005", limit: 1_000 },
      { after: "1205", limit: 200 },
    ]);
    expect(asked.map(({ limit }) => limit)).toEqual([1_000, 200]);
  });

  it("goes on after a page of which nothing is shown", async () => {
    const entry = { id: "t", debit: "a/x", credit: "b/x", amountNanos: "1", at: 1 };
    const { client } = clientOf((_, { after }) => (after === undefined ? { entries: [], next: "7" } : { entries: [entry], next: null }));
    expect(await allOf(client, "statement", {})).toEqual([entry]);
  });

  it("of which a page leads to itself is an error", async () => {
    const { client, asked } = clientOf(() => ({ leases: [lease(1)], next: "1" }));
    await expect(allOf(client, "leases", {})).rejects.toMatchObject({
      ...{ code: "broken_word", message: expect.stringContaining("leads from a page to the same page") },
    });
    expect(asked).toHaveLength(2);
  });
});

describe("events", () => {
  const event = (cursor: number) => ({ cursor: String(cursor), kind: "k", lease: null, data: {}, at: 1 });
  const eventsFrom = (first: number, count: number) =>
    clientOf((name, { after, limit }) => {
      if (name === "leases") return { leases: [lease(1)], next: null };
      if (after !== undefined && Number(after) < first - 1) return new RefusedError(refuse("cursor_expired"));
      const from = Math.max(first, Number(after ?? 0) + 1);
      return { events: Array.from({ length: Math.max(0, Math.min(Number(limit), count - from + 1)) }, (_, i) => event(from + i)) };
    });
  const cursors = async (...given: Parameters<typeof eventsOf>): Promise<number[]> => {
    const seen: number[] = [];
    for await (const { cursor } of eventsOf(...given)) seen.push(Number(cursor));
    return seen;
  };
  const upTo = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);

  it("come each once, over ends of pages, from a cursor on", async () => {
    expect(await cursors(eventsFrom(1, 401).client)).toEqual(upTo(1, 401));
    expect(await cursors(eventsFrom(1, 400).client)).toEqual(upTo(1, 400));
    expect(await cursors(eventsFrom(1, 401).client, { after: "399" })).toEqual([400, 401]);
  });

  it("that were dropped are said to be: as an error, or by a listing before what is kept", async () => {
    await expect(cursors(eventsFrom(10, 12).client, { after: "3" })).rejects.toMatchObject({ refusal: { code: "cursor_expired" } });
    const standing: string[] = [];
    const startsAgain = async (leases: AsyncIterable<LeaseView>): Promise<void> => {
      for await (const { id } of leases) standing.push(id);
    };
    expect(await cursors(eventsFrom(10, 12).client, { after: "3", startsAgain })).toEqual([10, 11, 12]);
    expect(standing).toEqual(["1"]);
    expect(await cursors(eventsFrom(10, 12).client, { after: "9", startsAgain })).toEqual([10, 11, 12]);
    expect(standing).toEqual(["1"]);
  });

  it("are waited for until it is over", async () => {
    const over = new AbortController();
    let asked = 0;
    const { client } = clientOf(() => {
      if (++asked === 5) over.abort();
      return { events: asked === 3 ? [event(1)] : [] };
    });
    expect(await cursors(client, { until: over.signal })).toEqual([1]);
    expect(asked).toBe(5);
  });
});
