/** The fold as a table: every state against every kind of fact, and every fact against every signer. */
import { describe, expect, it } from "vitest";
import { speaksAs, type LeaseRole } from "../roles.ts";
import { quietEnd } from "./disputing.ts";
import { FACT_KINDS, type Fact, type FactKind } from "./facts.ts";
import { LEASE_STATES, type Lease, type LeaseState } from "./lease.ts";
import { LEASE_REFUSALS } from "./refusal.ts";
import { FACTS, fold, step } from "./step.ts";
import { deadlineOf } from "./deadlines.ts";
import {
  CUSTOMER,
  IN_STATE,
  MACHINE,
  OWNER,
  ORDERS,
  REPLICAS,
  SPEAKERS,
  STRANGER,
  accepted,
  appealed,
  beginning,
  bound,
  delivering,
  factFor,
  opened,
  partySpeaker,
  refusalOf,
  settled,
  tell,
  told,
} from "./lease.fixture.ts";

type LaterKind = Exclude<FactKind, "purchase-order">;
const isLater = (kind: FactKind): kind is LaterKind => kind !== "purchase-order";
const LATER = FACT_KINDS.filter(isLater);
const PAIRS = LEASE_STATES.flatMap((state) => LATER.map((kind) => [state, kind] as const));

const inState = (state: LeaseState): Lease => {
  const lease = IN_STATE[state]();
  expect(lease.state).toBe(state);
  return lease;
};

/** When silence has ended something, so that a closing is due too. */
const late = (lease: Lease): number => Math.max(lease.toldAt + 1, deadlineOf(lease) ?? 0);

describe("every state and every kind of fact", () => {
  it.each(PAIRS)("%s: %s moves it or is refused", (state, kind) => {
    const lease = inState(state);
    const before = structuredClone(lease);
    for (const at of [lease.toldAt + 1, late(lease)]) {
      const next = tell(lease, kind, { at });
      expect(lease).toEqual(before);
      if (next.ok) {
        expect(FACTS[kind].in).toContain(state);
        expect(LEASE_STATES).toContain(next.lease.state);
        expect(next.lease.toldAt).toBe(at);
      } else expect(LEASE_REFUSALS).toContain(next.code);
      if (!FACTS[kind].in.includes(state)) expect(next).toMatchObject({ ok: false, code: "wrong_state", facts: { state } });
    }
  });

  it.each(LATER)("%s is taken in some state", (kind) => {
    const leases = [
      ...[...LEASE_STATES.map(inState), opened(REPLICAS), told(opened(), "claim"), told(settled(), "objection")],
      ...[told(settled(), "trace-request"), appealed(), opened(MACHINE)],
    ];
    expect(leases.some((lease) => [lease.toldAt + 1, late(lease)].some((at) => tell(lease, kind, { at }).ok))).toBe(true);
  });

  it("reaches an end from every state", () => {
    const ends = (lease: Lease, depth: number): boolean => {
      if (lease.state === "final" || lease.state === "lapsed") return true;
      if (depth === 0) return false;
      const at = late(lease);
      const quiet = quietEnd(lease, at);
      if (quiet && ends(quiet, depth - 1)) return true;
      return (["closing", "settlement", "reveal", "result"] as const).some((kind) => {
        const next = tell(lease, kind, { at });
        return next.ok && ends(next.lease, depth - 1);
      });
    };
    for (const state of LEASE_STATES) expect(ends(inState(state), 6), state).toBe(true);
  });

  it.each(["final", "lapsed"] as const)("takes nothing any more once it is %s", (state) => {
    const lease = inState(state);
    expect(deadlineOf(lease)).toBeNull();
    expect(quietEnd(lease, Number.MAX_SAFE_INTEGER)).toBeNull();
    const refusals = new Set(LATER.map((kind) => refusalOf(lease, kind)?.code));
    expect([...refusals].every((code) => code === "wrong_state" || code === "too_late")).toBe(true);
  });
});

describe("a fact's signer", () => {
  const ROLES = Object.keys(SPEAKERS) as LeaseRole[];
  const hearing = (kind: LaterKind): Lease => {
    const state = LEASE_STATES.find((each) => FACTS[kind].in.includes(each)) ?? "bound";
    return kind === "claim-receipt" ? told(opened(), "claim") : kind === "ruling" ? told(settled(), "objection") : inState(state);
  };

  it.each(LATER)("of each %s is one whose role it is, and no other", (kind) => {
    const lease = hearing(kind);
    for (const role of ROLES) {
      const refusal = refusalOf(lease, kind, { signer: SPEAKERS[role], at: late(lease) });
      if (!FACTS[kind].roles.some((each) => speaksAs(lease, SPEAKERS[role], each)))
        expect(refusal, role).toMatchObject({ code: "not_yours" });
    }
    expect(refusalOf(lease, kind, { signer: STRANGER })?.code).toBe("not_yours");
    expect(refusalOf(lease, kind, { signer: { by: "broker", key: "checkpoints" } })?.code).toBe("not_yours");
  });

  it("acts inside its account and label", () => {
    const lease = opened({ order: { label: "mine" }, orderSigner: partySpeaker("customer", "ci", { label: "mine" }) });
    const ci = (over: object) => partySpeaker("customer", "ci", over);
    expect(refusalOf(lease, "stop", { signer: ci({ label: "mine" }) })).toBeNull();
    expect(refusalOf(lease, "stop", { signer: ci({ account: "a" }) })).toBeNull();
    expect(refusalOf(lease, "stop", { signer: ci({ label: "another" }) })?.code).toBe("not_yours");
    expect(refusalOf(lease, "stop", { signer: ci({ account: "another" }) })?.code).toBe("not_yours");
    const owners = partySpeaker("owner", "device", { account: "theirs" });
    expect(refusalOf(lease, "stop", { signer: owners, content: { party: "owner" } })?.code).toBe("not_yours");
  });

  it("is the very server of the lease, not another of its owner's", () => {
    const other = partySpeaker("owner", "server", { key: "owner/another" });
    for (const kind of ["claim", "result", "commitment"] as const)
      expect(refusalOf(opened(), kind, { signer: other })?.code).toBe("not_yours");
    const tired = partySpeaker("owner", "server", { scopes: ["read"] });
    expect(refusalOf(opened(), "claim", { signer: tired })?.code).toBe("not_yours");
  });

  it("of a stop says whose doing it is; a stranger's stops nothing", () => {
    const lease = opened();
    expect(told(lease, "stop").stop?.reason).toBe("customer-stop");
    expect(told(lease, "stop", { signer: OWNER, content: { party: "owner" } }).stop?.reason).toBe("owner-stop");
    expect(refusalOf(lease, "stop", { signer: STRANGER, content: { party: "stranger" } })?.code).toBe("not_yours");
    expect(refusalOf(lease, "stop", { signer: STRANGER })?.code).toBe("not_yours");
    expect(refusalOf(lease, "stop", { signer: CUSTOMER, content: { party: "owner" } })?.code).toBe("not_yours");
    expect(told(bound(), "stop").state).toBe("lapsed");
  });
});

describe("a lease", () => {
  it("begins with its purchase order, once", () => {
    expect(step(null, factFor(bound(), "stop"))).toMatchObject({ ok: false, code: "wrong_state" });
    expect(step(bound(), beginning())).toMatchObject({ ok: false, code: "wrong_state" });
    for (const signer of [STRANGER, CUSTOMER, { by: "broker", key: "receipts" } as const])
      expect(step(null, { ...beginning(), signer })).toMatchObject({ ok: false, code: "not_yours" });
    expect(step(null, { ...beginning(), signer: ORDERS }).ok).toBe(true);
  });

  it.each(LATER.filter((kind) => kind !== "gap"))("takes no %s of another lease", (kind) => {
    const lease = bound();
    expect(step(lease, { ...factFor(lease, kind), content: { ...factFor(lease, kind).content, lease: "another" } } as Fact)).toMatchObject({
      ok: false,
      code: "not_yours",
    });
  });

  it("never goes back in time", () => {
    const lease = accepted();
    expect(refusalOf(lease, "opening", { at: lease.toldAt - 1 })).toMatchObject({ code: "conflict" });
    expect(refusalOf(lease, "opening", { at: lease.toldAt })).toBeNull();
  });

  it("folds in order and says which fact was not taken", () => {
    const facts: Fact[] = [beginning(), factFor(bound(), "acceptance"), factFor(accepted(), "opening"), factFor(opened(), "result")];
    expect(fold(facts)).toMatchObject({ ok: true, lease: { state: "delivering" } });
    const [first, second, third, fourth] = facts;
    if (!first || !second || !third || !fourth) throw new Error("four facts");
    expect(fold([first, third, second, fourth])).toMatchObject({
      ok: false,
      at: 1,
      refusal: { code: "wrong_state" },
      lease: { state: "bound" },
    });
    expect(fold([first, second, fourth])).toMatchObject({ ok: false, at: 2 });
    expect(fold([])).toMatchObject({ ok: false, lease: null });
  });
});

describe("opening", () => {
  it("answers the acceptance of its lease and slot, at the log's time", () => {
    const lease = accepted();
    expect(refusalOf(lease, "opening", { content: { acceptance: "another" } })?.code).toBe("conflict");
    expect(refusalOf(lease, "opening", { content: { slot: 1 } })?.code).toBe("conflict");
    expect(refusalOf(lease, "opening", { content: { order: "another" } })?.code).toBe("conflict");
    expect(refusalOf(lease, "opening", { content: { at: 1 } })?.code).toBe("conflict");
    expect(refusalOf(bound(), "acceptance", { content: { server: "another" } })?.code).toBe("not_yours");
    expect(refusalOf(bound(), "acceptance", { at: bound().acceptBy + 1 })?.code).toBe("too_late");
    expect(refusalOf(bound(), "acceptance", { at: bound().acceptBy })).toBeNull();
  });
});

describe("delivery", () => {
  it("is the customer's word for its bytes or the broker's for sealed ones, of this result", () => {
    const lease = delivering();
    expect(told(lease, "delivery").delivery?.by).toBe("customer");
    expect(refusalOf(lease, "delivery", { content: { sealed: "ab" } })?.code).toBe("bad_payload");
    expect(refusalOf(lease, "delivery", { signer: SPEAKERS["broker-receipts"] })?.code).toBe("bad_payload");
    expect(told(lease, "delivery", { signer: SPEAKERS["broker-receipts"], content: { sealed: "ab" } }).delivery?.by).toBe("broker");
    expect(refusalOf(lease, "delivery", { content: { result: "another" } })?.code).toBe("conflict");
  });
});
