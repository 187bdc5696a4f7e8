/**
 * A party's events as server-sent events (WHATWG HTML section 9.2): durable, in order, from a cursor on; over when the key that asked for
 * them ends. Who controls the inputs: the holder of the session. Bounds: what waits for a reader that does not read; how many there are
 * bounds who calls it.
 */
import type { FastifyReply } from "fastify";
import type { Store } from "../store/store.ts";
import type { LiveKeys } from "./live-keys.ts";
import { readerOf, type PartySession } from "./sessions.ts";

const POLL_MS = 250;
const BEAT_MS = 15_000;
const PAGE = 200;
const UNREAD_BYTES_MAX = 1024 * 1024;

/** A pause that a reader who leaves ends. */
function pause(ms: number, over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      over.removeEventListener("abort", wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    over.addEventListener("abort", wake);
  });
}

export async function streamEvents(
  reply: FastifyReply,
  { store, live }: { store: Store; live: LiveKeys },
  session: PartySession,
  after: string | null,
): Promise<FastifyReply> {
  reply.hijack();
  const { raw } = reply;
  const over = new AbortController();
  const letGo = live.hold(session.key, () => over.abort());
  raw.on("close", () => over.abort());
  raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store", connection: "keep-alive" });
  raw.flushHeaders();
  const reader = readerOf(session);
  let cursor = after;
  let beatAt = Date.now();
  while (!over.signal.aborted && raw.writableLength < UNREAD_BYTES_MAX) {
    const events = await store.events(reader, cursor, PAGE).catch(() => null);
    if (events === null || over.signal.aborted) break;
    for (const { cursor: next, kind, lease, data, at } of events) {
      cursor = next;
      raw.write(`id: ${next}\ndata: ${JSON.stringify({ cursor: next, kind, lease, data, at })}\n\n`);
    }
    if (Date.now() - beatAt > BEAT_MS) {
      raw.write(": beat\n\n");
      beatAt = Date.now();
    }
    if (events.length < PAGE) await pause(POLL_MS, over.signal);
  }
  letGo();
  raw.end();
  return reply;
}
