/**
 * A lease goes on at another server of its owner: the takeover is folded, the room there is taken before that of the first server is given
 * back, all in one change, and both servers are told. Which lease may move where stands in market/lease. Who controls the inputs: the owner
 * (takeover, with the handover and the offer inside).
 */
import { movedBy } from "@xenoservers/market";
import { refuse, type Verified } from "@xenoservers/protocol";
import type { PartyCaller } from "./caller.ts";
import { LeaseChange, bothParties, findLease } from "./folding.ts";
import { envelopeJson, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

export async function moveLease(round: Round, document: Verified<"takeover">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, handover, offer } = document.payload;
  const found = await findLease(round, id, ({ owner }) => owner === caller.party.data.id);
  if (!found.ok) return found;
  const keyids = [document.keyid, handover.signatures[0].keyid, offer.signatures[0].keyid];
  const change = await LeaseChange.of(round, found.lease, keyids);
  const refusal = change.take(document);
  if (refusal) return refusal;
  const previous = movedBy(change.lease);
  if (previous === null) return refuse("wrong_state", { lease: id, state: change.lease.state });
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
