/** A lease that runs or has ended, followed from here. */
import type { LeaseView } from "@xenoservers/protocol";
import {
  type BoundOrder,
  type LeaseSession,
  type MarketClient,
  type SessionHandlers,
  type Stream,
  channelKeyFor,
  fetchBound,
  openSession,
  shortId,
} from "@xenoservers/sdk";
import { UserError } from "./ui.ts";

export interface Followed {
  lease: LeaseView;
  bound: BoundOrder;
  session: LeaseSession;
  close(): void;
}

/** Only the key that ordered it opens a lease's channel and what was sealed for it. */
function channelProblem(client: MarketClient, { order, po }: BoundOrder): string | null {
  if (channelKeyFor(client.identity, order.payload.channelKey)) return null;
  const whose = order.payload.party === client.identity.party ? "another of your keys" : "another party";
  return `lease ${shortId(po.id)} was ordered by ${whose}, and only that one can open its channel; use its context (xeno context ls)`;
}

/** Throws UserError where this key did not order it. */
export async function follow(
  client: MarketClient,
  id: string,
  handlers: SessionHandlers,
  from?: Record<Stream, number>,
): Promise<Followed> {
  const lease = await client.read("lease", { params: { id } });
  const bound = await fetchBound(client, lease.id);
  const problem = channelProblem(client, bound);
  if (problem !== null) throw new UserError(problem);
  return { lease, bound, ...openSession(client, bound, null, handlers, from) };
}
