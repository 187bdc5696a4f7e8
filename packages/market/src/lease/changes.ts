/** What changes an open lease: a stop, an extension with its amendment, a gap in which no broker heard. */
import { meteringOf } from "../fuel.ts";
import { costNanos, priceVectorOf } from "../resources.ts";
import { speaksAs } from "../roles.ts";
import type { FactOf } from "./facts.ts";
import type { Gap, Lease } from "./lease.ts";
import { refused, taken, type Step } from "./refusal.ts";

/** A stop ends billing at once; the server has the grace to hand in what there is. Before the opening it undoes the lease. */
export function stop(lease: Lease, { at, signer, content }: FactOf<"stop">): Step {
  const asCustomer = content.party === lease.customer && speaksAs(lease, signer, "customer");
  const asOwner = content.party === lease.owner && speaksAs(lease, signer, "owner");
  if (!asCustomer && !asOwner) return refused("not_yours", "the stop is signed by neither its customer nor its owner");
  const stopped = { reason: asCustomer ? "customer-stop" : "owner-stop", at } as const;
  return taken({ ...lease, state: lease.state === "bound" ? "lapsed" : "stopping", stop: stopped });
}

/** What an extension to `durationMsMax` holds more. */
export function extensionNanos(lease: Lease, durationMsMax: number): bigint {
  if (meteringOf(lease.terms) !== "time") return 0n;
  const price = priceVectorOf(lease.price);
  return costNanos(lease.resources, price, durationMsMax) - costNanos(lease.resources, price, lease.durationMsMax);
}

/** An extension alone changes nothing: its amendment does, which the broker signs once the money is held. */
export function extend(lease: Lease, { content }: FactOf<"extension">): Step {
  const wrong = extensionProblem(lease, content);
  return wrong ?? taken(lease);
}

function extensionProblem(lease: Lease, { durationMsMax, previous }: FactOf<"extension">["content"]) {
  const expected = lease.lastAmendment ?? lease.id;
  if (previous !== expected) return refused("conflict", "another extension came first", { previous: expected });
  if (durationMsMax <= lease.durationMsMax || durationMsMax > lease.maxLeaseMs)
    return refused("bad_payload", `must be over ${lease.durationMsMax} and at most ${lease.maxLeaseMs} ms`, { path: "durationMsMax" });
  return null;
}

export function amend(lease: Lease, { id, content }: FactOf<"amendment">): Step {
  const { extension, durationMsMax, holdNanos, previous } = content;
  if (extension.payload.lease !== lease.id || !speaksAs(lease, extension.signer, "customer"))
    return refused("not_yours", "the extension inside the amendment is not its customer's");
  if (extension.signer.by === "party" && !extension.signer.scopes.includes("spend"))
    return refused("not_yours", "the extension's key may not spend");
  const wrong = extensionProblem(lease, extension.payload);
  if (wrong) return wrong;
  if (durationMsMax !== extension.payload.durationMsMax || previous !== extension.payload.previous)
    return refused("conflict", "the amendment says something else than its extension");
  const hold = BigInt(lease.holdNanos) + extensionNanos(lease, durationMsMax);
  if (BigInt(holdNanos) !== hold) return refused("conflict", `the amendment holds ${holdNanos}, its time costs ${hold}`);
  return taken({ ...lease, durationMsMax, holdNanos, timeBound: "time-limit", lastAmendment: id });
}

/** Gaps are kept in order and never count twice. */
function withGap(gaps: readonly Gap[], gap: Gap): Gap[] {
  return [...gaps, gap].sort((a, b) => a.from - b.from);
}

/** A gap counts only for what it overlaps: one from before the lease changes nothing of it. */
export function gap(lease: Lease, { at, content }: FactOf<"gap">): Step {
  const { from, to } = content;
  if (from >= to || to > at) return refused("conflict", "a gap lies in the past and begins before it ends");
  if (lease.gaps.some((known) => known.from < to && from < known.to))
    return lease.gaps.some((known) => known.from === from && known.to === to) ? taken(lease) : refused("conflict", "two gaps overlap");
  return to <= lease.issuedAt ? taken(lease) : taken({ ...lease, gaps: withGap(lease.gaps, { from, to }) });
}
