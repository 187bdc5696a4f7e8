/**
 * The market's lists, as far as one goes on reading: leases, statements and offers page by page, events by their cursors. What is new
 * while one reads changes nothing of what is still to come. Who controls the inputs: the broker; a list of which a page leads to itself is
 * an error, a list without end is as long as its reader reads.
 */
import type { EventView, LeaseView, OfferView, RouteQueryInput, RouteReply } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { BrokenWordError, RefusedError } from "./errors.ts";

/** What a list is read with. */
export type Reading = Pick<MarketClient, "read" | "sleep">;

interface Rows {
  leases: LeaseView;
  statement: RouteReply<"statement">["entries"][number];
  offers: OfferView;
}
type ListName = keyof Rows;

const LISTS: { readonly [N in ListName]: { pageMax: number; rows: (page: RouteReply<N>) => readonly Rows[N][] } } = {
  leases: { pageMax: 1_000, rows: ({ leases }) => leases },
  statement: { pageMax: 1_000, rows: ({ entries }) => entries },
  offers: { pageMax: 200, rows: ({ offers }) => offers },
};

/** The replies one after the other; `next` of the last says where more would be. `most`: so many rows; null: all. */
export async function* pagesOf<N extends ListName>(
  client: Reading,
  name: N,
  query: Omit<RouteQueryInput<N>, "limit">,
  most: number | null,
): AsyncGenerator<RouteReply<N>, void> {
  const { pageMax, rows } = LISTS[name];
  let after = "after" in query ? query.after : undefined;
  for (let left = most ?? Infinity; left > 0;) {
    // the query of every list has these two
    const page = await client.read(name, { query: { ...query, after, limit: Math.min(left, pageMax) } as RouteQueryInput<N> });
    yield page;
    left -= rows(page).length;
    if (page.next === null) return;
    if (page.next === after) throw new BrokenWordError(`the broker's list (${name}) leads from a page to the same page again`);
    after = page.next;
  }
}

/** Throws where a page lacks rows: a list that is read to its end is whole. */
function assertWhole(page: object): void {
  if (!("away" in page) || !Array.isArray(page.away) || page.away.length === 0) return;
  const why = `${page.away.length} of these leases lie in the market's archive, which its broker cannot read now`;
  throw new RefusedError({ ok: false, code: "unavailable", facts: { why } });
}

/** All rows of a list, one after the other: `for await (const lease of listOf(client, "leases", { live: "true" }))`. */
export async function* listOf<N extends ListName>(
  client: Reading,
  name: N,
  query: Omit<RouteQueryInput<N>, "limit">,
): AsyncGenerator<Rows[N], void> {
  for await (const page of pagesOf(client, name, query, null)) {
    assertWhole(page);
    yield* LISTS[name].rows(page);
  }
}

/** The same in memory. */
export async function allOf<N extends ListName>(client: Reading, name: N, query: Omit<RouteQueryInput<N>, "limit">): Promise<Rows[N][]> {
  const all: Rows[N][] = [];
  for await (const row of listOf(client, name, query)) all.push(row);
  return all;
}

const EVENTS_PAGE = 200;
const POLL_MS = 500;

interface Following {
  /** The cursor of the last event that is known; null: begin with the oldest that is kept. */
  after?: string | null;
  /** Go on with what comes, until it is over. */
  until?: AbortSignal;
  /**
   * Events after the cursor were dropped: is given how all leases stand, before the events begin again with the oldest that is kept.
   * Without it that is an error.
   */
  startsAgain?: (leases: AsyncIterable<LeaseView>) => Promise<void>;
}

/** One's events, each once and in order; without `until` as far as there are any now. */
export async function* eventsOf(client: Reading, { after = null, until, startsAgain }: Following = {}): AsyncGenerator<EventView, void> {
  for (let cursor = after; until?.aborted !== true;) {
    const events = await eventsAfter(client, cursor);
    if (events === "dropped") {
      if (!startsAgain) throw new RefusedError({ ok: false, code: "cursor_expired", facts: { cursor } });
      cursor = null;
      await startsAgain(listOf(client, "leases", {}));
      continue;
    }
    yield* events;
    cursor = events.at(-1)?.cursor ?? cursor;
    if (events.length === EVENTS_PAGE) continue;
    if (!until) return;
    await client.sleep(POLL_MS);
  }
}

async function eventsAfter(client: Reading, cursor: string | null): Promise<EventView[] | "dropped"> {
  try {
    const { events } = await client.read("events", { query: { limit: EVENTS_PAGE, ...(cursor === null ? {} : { after: cursor }) } });
    return events;
  } catch (error) {
    if (error instanceof RefusedError && error.refusal.code === "cursor_expired" && cursor !== null) return "dropped";
    throw error;
  }
}
