/**
 * A lease that goes on at another server of its owner: the server that has it signs a handover, the other a takeover around it, and the
 * broker a move around both, from which on claims and result are the other's. A claim that is receipted in between voids the handover:
 * by it the first server has the lease back. Price, hold, stake and limits stay what they were. Who controls the inputs: the owner
 * (handover, takeover, offer), the broker (that there is a move, and when).
 */
import { DRIVERS } from "../drivers.ts";
import { exclusionOf, type Wish } from "../matching.ts";
import { offeredCandidate } from "../offer.ts";
import { priceVectorOf } from "../resources.ts";
import { speaksAs } from "../roles.ts";
import { silenceMs } from "./deadlines.ts";
import type { FactOf, OfferContent } from "./facts.ts";
import type { Lease, Placing } from "./lease.ts";
import { movedOften } from "./log-bounds.ts";
import { firstRefused, refused, taken, type LeaseRefusal, type Step } from "./refusal.ts";
import { sameTimings } from "./timings.ts";
import { lastClaimOf, mostUsedMs } from "./use.ts";

/** What the next handover names: each counts once. */
export const movedBy = (lease: Lease): string | null => lease.lastMove ?? lease.acceptance;

/** Why this lease never moves, in words; null where it may. */
export function stayingReason(lease: Pick<Lease, "driver" | "assurance" | "placing">): string | null {
  if (lease.placing === undefined) return "its customer ordered that it stays, or it was bound before leases moved";
  if (!DRIVERS[lease.driver].can.moves) return `a guest of the driver ${lease.driver} does not move`;
  return lease.assurance === "isolated" ? null : `what is ${lease.assurance} ends where it began`;
}

/** What its customer asked of a server. Of prices its own counts, which it keeps. */
function wishOfLease(lease: Lease, placing: Placing): Wish {
  const { resources, driver, assurance, terms, customer, judges, egress, durationMsMax } = lease;
  return {
    ...{ ...placing, resources, driver, assurance, terms, customer },
    isJudging: judges !== null,
    egress: typeof egress === "string" ? egress : "names",
    maxPriceNanosPerHour: null,
    durationMs: durationMsMax,
  };
}

/** Why this offer does not meet what its customer asked for and its owner signed; null where it does. */
function offerProblem(lease: Lease, placing: Placing, id: string, offer: OfferContent, at: number): LeaseRefusal | null {
  const candidate = { ...offeredCandidate(id, offer), price: priceVectorOf(lease.price) };
  const why = exclusionOf(candidate, wishOfLease(lease, placing), at);
  return firstRefused("conflict", [
    [why === null, `the offer of the server that takes it over does not meet the order (${why})`],
    [offer[DRIVERS[lease.driver].engineIn] === lease.engine, `the server that takes it over has another engine than ${lease.engine}`],
    [offer.fetches || !lease.fetches, "the server that takes it over fetches no images"],
    [sameTimings(lease.timings, offer.timings), "the server that takes it over has signed other timings"],
    [lease.feeBasisPoints <= offer.feeBasisPointsMax, "the fee is higher than the server that takes it over has signed"],
  ]);
}

/** Why it does not go to a server with this offer, in words, before anybody has signed for it; null where it may. */
export function unfitReason(lease: Lease, id: string, offer: OfferContent, at: number): string | null {
  const { placing } = lease;
  return stayingReason(lease) ?? movedOften(lease) ?? (placing ? (offerProblem(lease, placing, id, offer, at)?.why ?? null) : null);
}

function takeoverProblem(
  lease: Lease,
  { signer, at, content }: Pick<FactOf<"takeover">, "signer" | "at" | "content">,
): LeaseRefusal | null {
  const { handover, offer, server, serverOfKey } = content;
  const staying = stayingReason(lease);
  if (staying !== null || !lease.placing) return refused("conflict", `the lease does not move: ${staying}`);
  const isServers = signer.by === "party" && signer.role === "server" && signer.scopes.includes("serve") && signer.party === lease.owner;
  const isOffers = signer.by === "party" && offer.signer.by === "party" && offer.signer.key === signer.key;
  return (
    firstRefused("not_yours", [
      [isServers && serverOfKey === server, "the takeover is not signed by the key of a server of this lease's owner"],
      [
        isOffers && offer.payload.server === server && offer.payload.owner === lease.owner,
        "the offer inside the takeover is another server's",
      ],
      [speaksAs(lease, handover.signer, "server"), "the handover is not signed by the server that has the lease"],
    ]) ??
    firstRefused("conflict", [
      [handover.payload.lease === lease.id && content.lease === lease.id, "the handover is of another lease"],
      [handover.payload.server === lease.server && handover.payload.to === server, "the handover names other servers"],
      [server !== lease.server, "the lease is at this server already"],
      [handover.payload.previous === movedBy(lease), "the lease has moved since the handover"],
      [handover.payload.lastClaim === lastClaimOf(lease).id, "the server that has the lease has claimed since the handover"],
    ]) ??
    offerProblem(lease, lease.placing, offer.id, offer.payload, at)
  );
}

/** A takeover alone changes nothing: its move does, for which the broker keeps the room. */
export function takeOver(lease: Lease, fact: FactOf<"takeover">): Step {
  return takeoverProblem(lease, fact) ?? taken(lease);
}

export function move(lease: Lease, { id, at, content }: FactOf<"move">): Step {
  const { takeover } = content;
  const wrong = takeoverProblem(lease, { signer: takeover.signer, at, content: takeover.payload });
  if (wrong) return wrong;
  // a party's key signed the takeover, as was just found
  if (content.previous !== movedBy(lease) || takeover.signer.by !== "party")
    return refused("conflict", "the move does not follow the last one");
  if (content.at !== at) return refused("conflict", "the move's time is not the log's");
  const { server, offer } = takeover.payload;
  return taken({
    ...{ ...lease, server, serverKey: takeover.signer.key, lastMove: id, openClaim: null },
    moves: (lease.moves ?? 0) + 1,
    // a claim may state more by what two clocks differ: that is no time, and does not add up over several moves
    metered: { at, usedMs: Math.min(lastClaimOf(lease).usedMs, mostUsedMs(lease, lease.heardAt)) },
    // an extension needs no third signature within what the server that has the lease has signed
    maxLeaseMs: Math.min(lease.maxLeaseMs, offer.payload.maxLeaseMs),
    ...{ heardAt: at, silentMs: lease.silentMs + silenceMs(lease, at) },
  });
}
