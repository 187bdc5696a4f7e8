/** Follows parties' events by their cursors all through a drill, at whichever broker answers. */
import type { MarketClient } from "@xenoservers/sdk";
import { pause } from "./pace.ts";

const LOOK_EVERY_MS = 250;
const PAGE = 20;

export type Cursor = string;

export class EventWatch {
  readonly #seen: Promise<Cursor[]>[];
  #over = false;

  constructor(clients: readonly MarketClient[]) {
    this.#seen = clients.map((client) => this.#follow(client));
  }

  /** The cursors that each party was given, in the order in which they came, with all that is there now. */
  end(): Promise<Cursor[][]> {
    this.#over = true;
    return Promise.all(this.#seen);
  }

  async #follow(client: MarketClient): Promise<Cursor[]> {
    const seen: Cursor[] = [];
    for (;;) {
      const wasOver = this.#over;
      const page = await eventsAfter(client, seen.at(-1)).catch(() => null);
      seen.push(...(page ?? []).map(({ cursor }) => cursor));
      if (wasOver && page?.length === 0) return seen;
      if (!page || page.length < PAGE) await pause(LOOK_EVERY_MS);
    }
  }
}

export async function eventsAfter(client: MarketClient, after: Cursor | undefined) {
  return (await client.read("events", { query: { limit: PAGE, ...(after === undefined ? {} : { after }) } })).events;
}
