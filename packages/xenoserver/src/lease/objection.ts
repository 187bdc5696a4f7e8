/**
 * A settlement that the lease's facts do not give is never accepted: it is kept as evidence, and objected to inside the window (PROTOCOL
 * section 4). Who controls the inputs: the broker (closing, settlement).
 */
import { closingReason, endOf, type FactOf, type Fact, type Lease, type LeaseEnd } from "@xenoservers/market";
import { signDocument } from "@xenoservers/protocol";
import type { LeaseContext } from "./lease-context.ts";
import { surely } from "./submitting.ts";

const REASON_MAX = 400;

const isSettlement = (held: { fact: Fact; why: string }): held is { fact: FactOf<"settlement">; why: string } =>
  held.fact.kind === "settlement";

/** What the settlement should say. One that nothing but the broker's word ended is the broker's own failure. */
function ownEnd(lease: Lease, { at, content }: FactOf<"settlement">): LeaseEnd {
  const closing = lease.closing ?? { id: content.closing, reason: closingReason(lease, at) ?? "broker-failed", at };
  return endOf(lease, closing, content);
}

/** Objects to a settlement that is held against the fold, once. */
export async function objectToWrongSettlement(ctx: LeaseContext): Promise<void> {
  const { world, record, facts, po } = ctx;
  const wrong = facts.held.find(isSettlement);
  if (!wrong || record.objection) return;
  const { content } = wrong.fact;
  const { dueNanos } = ownEnd(facts.lease, wrong.fact);
  ctx.log("the settlement is wrong", { why: wrong.why, dueNanos: content.dueNanos, expectedDueNanos: dueNanos });
  if (dueNanos === content.dueNanos) return; // an objection is about what is due
  const { envelope } = signDocument(world.crypto, world.signer, "objection", {
    ...{ origin: po.origin, seen: world.seen(), lease: record.lease, party: po.owner, expectedDueNanos: dueNanos },
    reason: wrong.why.replaceAll(/\p{Cc}/gu, " ").slice(0, REASON_MAX),
  });
  record.objection = envelope;
  await ctx.save();
  const answer = await surely(ctx, () => world.submit(envelope));
  ctx.log(answer.ok ? "objected to the settlement" : "the objection was refused", answer.ok ? {} : { code: answer.code });
}
