/** A party's events as server-sent events (WHATWG HTML section 9.2): durable, in order, from a cursor on. */
import type { FastifyReply } from "fastify";
import type { Store } from "../store/store.ts";

const POLL_MS = 250;
const BEAT_MS = 15_000;
const PAGE = 200;

export async function streamEvents(reply: FastifyReply, store: Store, party: string, after: string | null): Promise<FastifyReply> {
  reply.hijack();
  const { raw } = reply;
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", connection: "keep-alive" });
  let open = true;
  raw.on("close", () => (open = false));
  let cursor = after;
  let beatAt = Date.now();
  while (open) {
    const events = await store.events(party, cursor, PAGE).catch(() => null);
    if (events === null) break;
    for (const event of events) {
      cursor = event.cursor;
      raw.write(
        `id: ${event.cursor}\ndata: ${JSON.stringify({ cursor: event.cursor, kind: event.kind, lease: event.lease, data: event.data, at: event.at })}\n\n`,
      );
    }
    if (Date.now() - beatAt > BEAT_MS) {
      raw.write(": beat\n\n");
      beatAt = Date.now();
    }
    if (events.length < PAGE) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  raw.end();
  return reply;
}
