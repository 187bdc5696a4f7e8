/**
 * The fold: `step(lease, fact)` is total over states and facts, pure, and the only place of lifecycle rules (PROTOCOL section 4). Broker,
 * server, customer and verifier run it and must agree. A fact is taken when its signer has a role that may say it, the lease is in a
 * state that hears it, and its own rule takes it; everything else is a refusal with its code. Who controls the inputs: whoever signed
 * each fact.
 */
import { speaksAs, type LeaseRole } from "../roles.ts";
import { amend, extend, gap, stop } from "./changes.ts";
import { appeal, draw, review } from "./appealing.ts";
import { answerTrace, convict, dispute, object, requestTrace, rule } from "./disputing.ts";
import { commit, deliver, result, reveal } from "./ending.ts";
import type { Fact, FactKind, FactOf } from "./facts.ts";
import { move, takeOver } from "./moving.ts";
import { LEASE_STATES, type Lease, type LeaseState } from "./lease.ts";
import { accept, bind, open } from "./opening.ts";
import { refused, taken, type Step } from "./refusal.ts";
import { close, settleLease } from "./settling.ts";
import { claim, receiptClaim } from "./use.ts";

interface Row<K extends FactKind> {
  /** Any of these roles may say it. */
  roles: readonly LeaseRole[];
  /** The states that hear it; every other refuses it as `wrong_state`. */
  in: readonly LeaseState[];
  take(lease: Lease, fact: FactOf<K>): Step;
}

const RUNNING = ["open", "stopping"] as const satisfies readonly LeaseState[];
const UNSETTLED = ["accepted", "open", "stopping", "committed", "revealed", "delivering", "ended"] as const satisfies readonly LeaseState[];
const WINDOW = ["settled", "disputed"] as const satisfies readonly LeaseState[];
const NOT_OVER = LEASE_STATES.filter((state) => state !== "final" && state !== "lapsed");

/** Every kind of fact but the first: who may say it, when, and what it does. */
export const FACTS: { [K in Exclude<FactKind, "purchase-order">]: Row<K> } = {
  acceptance: { roles: ["server"], in: ["bound", "lapsed"], take: accept },
  opening: { roles: ["broker-orders"], in: ["accepted"], take: open },
  claim: { roles: ["server"], in: RUNNING, take: claim },
  "claim-receipt": { roles: ["broker-receipts"], in: RUNNING, take: receiptClaim },
  stop: { roles: ["customer", "owner"], in: ["bound", "open"], take: stop },
  extension: { roles: ["customer"], in: ["open"], take: extend },
  amendment: { roles: ["broker-orders"], in: ["open"], take: amend },
  // by another server of its owner
  takeover: { roles: ["owner"], in: ["open"], take: takeOver },
  move: { roles: ["broker-orders"], in: ["open"], take: move },
  commitment: { roles: ["server"], in: RUNNING, take: commit },
  reveal: { roles: ["broker-orders"], in: ["committed"], take: reveal },
  result: { roles: ["server"], in: [...RUNNING, "revealed"], take: result },
  delivery: { roles: ["customer", "broker-receipts"], in: ["delivering"], take: deliver },
  closing: { roles: ["broker-receipts"], in: ["bound", ...UNSETTLED], take: close },
  settlement: { roles: ["broker-receipts"], in: ["closed"], take: settleLease },
  gap: { roles: ["broker-receipts"], in: NOT_OVER, take: gap },
  objection: { roles: ["customer", "owner"], in: WINDOW, take: object },
  ruling: { roles: ["operator"], in: ["disputed"], take: rule },
  "trace-request": { roles: ["customer"], in: WINDOW, take: requestTrace },
  trace: { roles: ["server"], in: ["disputed"], take: answerTrace },
  draw: { roles: ["broker-receipts"], in: ["disputed", "convicted"], take: draw },
  dispute: { roles: ["customer"], in: WINDOW, take: dispute },
  verdict: { roles: ["broker-receipts"], in: WINDOW, take: convict },
  appeal: { roles: ["owner"], in: ["convicted"], take: appeal },
  review: { roles: ["broker-receipts"], in: ["convicted"], take: review },
};

type LaterKind = Exclude<FactKind, "purchase-order">;

function take<K extends LaterKind>(lease: Lease, fact: FactOf<K>): Step {
  const row: Row<K> = FACTS[fact.kind];
  if (!row.roles.some((role) => speaksAs(lease, fact.signer, role)))
    return refused("not_yours", `the ${fact.kind} is not signed by ${row.roles.join(" or ")} of this lease`);
  if ("lease" in fact.content && fact.content.lease !== lease.id) return refused("not_yours", `the ${fact.kind} is of another lease`);
  if (!row.in.includes(lease.state))
    return refused("wrong_state", `a lease that is ${lease.state} takes no ${fact.kind}`, { state: lease.state });
  // a gap is told when a broker is back: later than all that was heard before it, whenever it is folded in
  if (fact.at < lease.toldAt && fact.kind !== "gap")
    return refused("conflict", `the ${fact.kind} is logged before what it follows`, { toldAt: lease.toldAt });
  const next = row.take(lease, fact);
  return next.ok ? taken({ ...next.lease, toldAt: Math.max(lease.toldAt, fact.at) }) : next;
}

/** The lease after one more fact, or why it does not take it. Without a lease, only a purchase order begins one. */
export function step(lease: Lease | null, fact: Fact): Step {
  if (fact.kind === "purchase-order") {
    if (lease !== null) return refused("wrong_state", "a lease has one purchase order", { state: lease.state });
    if (fact.signer.by !== "broker" || fact.signer.key !== "orders")
      return refused("not_yours", "the purchase order is not signed by the broker's key for them");
    return bind(fact);
  }
  return lease === null ? refused("wrong_state", "a lease begins with its purchase order") : take(lease, fact);
}

/** All of them in order; stops at the first that is not taken, and says which. */
export function fold(
  facts: readonly Fact[],
): { ok: true; lease: Lease } | { ok: false; at: number; refusal: Extract<Step, { ok: false }>; lease: Lease | null } {
  let lease: Lease | null = null;
  for (const [at, fact] of facts.entries()) {
    const next: Step = step(lease, fact);
    if (!next.ok) return { ok: false, at, refusal: next, lease };
    lease = next.lease;
  }
  if (lease === null) return { ok: false, at: 0, refusal: refused("wrong_state", "there are no facts"), lease };
  return { ok: true, lease };
}
