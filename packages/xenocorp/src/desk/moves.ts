/**
 * A lease goes on at another server of its owner: the takeover is folded, the room there is taken before that of the first server is given
 * back, all in one change, and both servers are told. Which lease may move where stands in market/lease. Who controls the inputs: the owner
 * (takeover, with the handover and the offer inside).
 */
import { movedBy, movedOften } from "@xenoservers/market";
import { parseDocumentOf, refuse, type Payload, type Refusal, type Verified } from "@xenoservers/protocol";
import type { PartyCaller } from "./caller.ts";
import { LeaseChange, bothParties, findLease } from "./folding.ts";
import { envelopeJson, type Outcome } from "./outcome.ts";
import { isReferee } from "./referees.ts";
import type { Round } from "./round.ts";

/** What a server offers is what the market lists, not what it signs for one lease alone; and a referee's room is for judging. */
async function listingProblem(round: Round, { server, offer }: Payload<"takeover">): Promise<Refusal | null> {
  const { crypto, store } = round.services;
  const read = parseDocumentOf(crypto, "offer", offer);
  if (!read.ok) return read;
  const [row, listed] = await Promise.all([round.get("server", server), store.document(read.document.id)]);
  const stays = (why: string): Refusal => refuse("conflict", { server, why: `the lease stays: ${why}` });
  if (!row?.data.offer) return stays("the server that takes it over is not listed now");
  if (listed === null) return stays("the offer of the server that takes it over was never listed");
  return (await isReferee(round, server)) ? stays("the server that takes it over is a referee, whose room is for judging") : null;
}

export async function moveLease(round: Round, document: Verified<"takeover">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, handover, offer } = document.payload;
  const found = await findLease(round, id, ({ owner }) => owner === caller.party.data.id);
  if (!found.ok) return found;
  const keyids = [document.keyid, handover.signatures[0].keyid, offer.signatures[0].keyid];
  const change = await LeaseChange.of(round, found.lease, keyids);
  const refusal = change.take(document) ?? (await listingProblem(round, document.payload));
  if (refusal) return refusal;
  const previous = movedBy(change.lease);
  if (previous === null) return refuse("wrong_state", { lease: id, state: change.lease.state });
  const often = movedOften(change.lease);
  if (often !== null) return refuse("conflict", { lease: id, why: `the lease stays: ${often}` });
  const { server: from } = change.lease;
  const move = change.issue("move", { lease: id, takeover: document.envelope, previous, at: change.at });
  const { server } = change.lease;
  return change.planned({
    id: document.id,
    answer: { move: envelopeJson(move.envelope) },
    effects: [{ kind: "to-server", server: from, filed: [{ envelope: move.envelope, at: change.at }] }],
    events: bothParties(change.lease).map((party) => ({ party, kind: "lease-moved", lease: id, data: { from, server } })),
  });
}
