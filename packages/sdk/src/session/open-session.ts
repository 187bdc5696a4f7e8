/** Sessions on a link of their own: one lease, or the replicas of one order. */
import { invariant } from "@xenoservers/market";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { openLink } from "../connect.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { LeaseSession, type SessionHandlers } from "./lease-session.ts";
import type { Stream } from "./streams.ts";

/** One session for each; `close` lets go of leases and link. */
export function openSessions(
  client: MarketClient,
  bounds: readonly BoundOrder[],
  job: BuiltWork | null,
  handlersOf: (slot: number) => SessionHandlers,
  from?: Record<Stream, number>,
): { sessions: readonly LeaseSession[]; close(): void } {
  const sessions: LeaseSession[] = [];
  const link = openLink(client, {
    onUp: () => sessions.forEach((session) => session.hint()),
    onEvent: (event) => sessions.forEach((session) => session.hint(event)),
  });
  sessions.push(...bounds.map((bound, slot) => new LeaseSession(client, bound, job, handlersOf(slot), link, from)));
  return {
    sessions,
    close() {
      for (const session of sessions) session.close();
      link.stop();
    },
  };
}

interface OpenSession {
  session: LeaseSession;
  close(): void;
}

export function openSession(
  client: MarketClient,
  bound: BoundOrder,
  job: BuiltWork | null,
  handlers: SessionHandlers,
  from?: Record<Stream, number>,
): OpenSession {
  const { sessions, close } = openSessions(client, [bound], job, () => handlers, from);
  const [session] = sessions;
  invariant(session !== undefined, "there is one session for one lease");
  return { session, close };
}
