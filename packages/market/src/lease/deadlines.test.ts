/** Deadlines in log time: what silence makes of a lease, and that the judge's absence is nobody's silence. */
import { describe, expect, it } from "vitest";
import fc from "fast-check";
import { FETCH_CONDITION, FETCH_WITHIN_MS } from "../fetching.ts";
import { FUEL_MAX, FUEL_PER_HOST_SECOND_MAX } from "../fuel.ts";
import { acceptByOf, deadlineOf, dueAt, fetchByOf, inputsByOf, silenceReason, stretched } from "./deadlines.ts";
import { quietEnd } from "./disputing.ts";
import { closingReason } from "./settling.ts";
import { DEFAULT_TIMINGS, unreachableAfterMs } from "./timings.ts";
import { IN_STATE, ISSUED_AT, accepted, bound, claimed, delivering, opened, refusalOf, settled, silent, told } from "./lease.fixture.ts";
import type { Gap, Lease } from "./lease.ts";

const { graceMs, acceptWithinMs, startWithinMs, disputeWindowMs, deliverWithinMs } = DEFAULT_TIMINGS;
const VM = { order: { terms: "by-interval" } } as const;
const away = (lease: Lease, from: number, to: number): Lease => told(lease, "gap", { at: to, content: { from, to } });

describe("stretched", () => {
  it("adds what lies in gaps that begin before the end, each once", () => {
    expect(stretched(100, 50, [])).toBe(150);
    expect(stretched(100, 50, [{ from: 0, to: 90 }])).toBe(150);
    expect(stretched(100, 50, [{ from: 90, to: 110 }])).toBe(160);
    expect(stretched(100, 50, [{ from: 120, to: 140 }])).toBe(170);
    expect(stretched(100, 50, [{ from: 150, to: 999 }])).toBe(150);
    // a gap that begins in the time that another one added
    expect(
      stretched(100, 50, [
        { from: 120, to: 140 },
        { from: 160, to: 170 },
      ]),
    ).toBe(180);
  });

  it("leaves exactly the duration outside all gaps", () => {
    const gaps = fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 50 })), { maxLength: 6 }).map((pairs) => {
      let at = 0;
      return pairs.map(([pause, long]): Gap => {
        const from = at + pause;
        at = from + long;
        return { from, to: at };
      });
    });
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), gaps, (since, duration, all) => {
        const end = stretched(since, duration, all);
        const lost = all.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(to, end) - Math.max(from, since)), 0);
        expect(end - since - lost).toBe(duration);
      }),
    );
  });
});

describe("an image that is fetched", () => {
  const order = { driver: "qemu", assurance: "isolated", terms: "by-interval" } as const;
  const [plain, fetching] = [opened({ order }), opened({ order: { ...order, conditions: [FETCH_CONDITION] } })];
  /** Of a server that is heard all the time. */
  const latest = (lease: Lease): number => dueAt({ ...lease, heardAt: Number.MAX_SAFE_INTEGER / 2 });

  it("has time of its own, by which the lease lasts longer: who fetches is not blamed for what comes late", () => {
    expect(fetchByOf(plain)).toBe(plain.startBy);
    expect(fetchByOf(fetching)).toBe(fetching.startBy + FETCH_WITHIN_MS);
    expect(latest(fetching) - latest(plain)).toBe(FETCH_WITHIN_MS);
    expect(latest(fetching)).toBeGreaterThan(fetchByOf(fetching) + fetching.durationMsMax);
  });

  it("has as much more as no broker was there", () => {
    const at = fetching.openedAt ?? 0;
    expect(fetchByOf(away(fetching, at + 1, at + 50_001))).toBe(fetchByOf(fetching) + 50_000);
  });
});

describe("silence", () => {
  it("before the opening is nobody's debt", () => {
    expect(dueAt(bound())).toBe(ISSUED_AT + acceptWithinMs);
    expect(silent(bound())).toMatchObject({ state: "lapsed", closing: { reason: "not-accepted" } });
    expect(silent(accepted())).toMatchObject({ state: "lapsed", closing: { reason: "not-accepted" } });
  });

  it("after the opening is the server's: not started, or unreachable once it had claimed", () => {
    const lease = opened(VM);
    expect(dueAt(lease)).toBe((lease.openedAt ?? 0) + unreachableAfterMs(DEFAULT_TIMINGS));
    expect(silent(lease).end).toMatchObject({ reason: "not-started", blame: "owner", dueNanos: "0" });
    const used = claimed(lease);
    expect(silent(used).end).toMatchObject({ reason: "server-unreachable", blame: "owner", billableMs: 100 });
    expect(silent(claimed(opened())).end).toMatchObject({ reason: "server-unreachable", dueNanos: "0" });
  });

  it("after a stop leaves what was claimed by interval, and nothing on result", () => {
    expect(silent(told(claimed(opened(VM)), "stop")).end).toMatchObject({ reason: "customer-stop", billableMs: 100 });
    expect(silent(told(claimed(opened()), "stop")).end).toMatchObject({ reason: "server-unreachable", dueNanos: "0" });
  });

  it("after a commitment that is not shown costs the pay", () => {
    const lease = IN_STATE.revealed();
    expect(dueAt(lease)).toBe((lease.commitment?.revealedAt ?? 0) + graceMs);
    expect(silent(lease).end).toMatchObject({ reason: "not-revealed", dueNanos: "0" });
  });

  it("about a result's bytes leaves it unpaid", () => {
    const lease = delivering();
    expect(dueAt(lease)).toBe((lease.result?.at ?? 0) + deliverWithinMs);
    expect(silent(lease).end).toMatchObject({ reason: "not-delivered", blame: "nobody", dueNanos: "0" });
  });

  it("ends nothing before its deadline", () => {
    for (const lease of [bound(), opened(), told(opened(), "stop"), delivering()]) {
      expect(closingReason(lease, dueAt(lease) - 1)).toBeNull();
      expect(closingReason(lease, dueAt(lease))).toBe(silenceReason(lease));
      expect(refusalOf(lease, "closing", { at: dueAt(lease) - 1 })?.code).toBe("too_early");
    }
    expect(quietEnd(settled(), dueAt(settled()) - 1)).toBeNull();
    expect(quietEnd(settled(), dueAt(settled()))?.state).toBe("final");
  });
});

describe("a gap in which no broker heard", () => {
  it("stretches every deadline that ran in it", () => {
    const gap = [ISSUED_AT + 5, ISSUED_AT + 65] as const;
    const lease = away(bound(), ...gap);
    expect(acceptByOf(lease)).toBe(ISSUED_AT + acceptWithinMs + 60);
    expect(inputsByOf(lease, ISSUED_AT + 66)).toBe(ISSUED_AT + acceptWithinMs + startWithinMs + 60);
    expect(refusalOf(lease, "acceptance", { at: ISSUED_AT + acceptWithinMs + 60 })).toBeNull();
    for (const make of [
      IN_STATE.open,
      IN_STATE.stopping,
      IN_STATE.revealed,
      IN_STATE.delivering,
      IN_STATE.settled,
      IN_STATE.disputed,
      IN_STATE.convicted,
    ]) {
      const before = make();
      const after = away(before, before.toldAt + 10, before.toldAt + 610);
      expect(dueAt(after), before.state).toBe(dueAt(before) + 600);
    }
  });

  it("that is over before the lease began changes nothing of it", () => {
    expect(away(bound(), ISSUED_AT - 900, ISSUED_AT).gaps).toEqual([]);
  });

  it("as long as the grace makes what follows the broker's failure, not the server's", () => {
    const lease = claimed(opened(VM));
    const long = away(lease, lease.heardAt + 1, lease.heardAt + 1 + graceMs);
    expect(silent(long).end).toMatchObject({ reason: "broker-failed", blame: "broker", billableMs: 100 });
    const short = away(lease, lease.heardAt + 1, lease.heardAt + graceMs);
    expect(silent(short).end).toMatchObject({ reason: "server-unreachable", blame: "owner" });
    expect(claimed(long, {}, long.toldAt).heardAt).toBe(long.toldAt + 1);
    expect(silent(claimed(long, {}, long.toldAt)).end).toMatchObject({ reason: "server-unreachable" });
  });

  it("lies in the past, is whole, and overlaps no other", () => {
    const lease = away(opened(), ISSUED_AT + 10, ISSUED_AT + 20);
    const gap = (from: number, to: number) => refusalOf(lease, "gap", { at: ISSUED_AT + 100, content: { from, to } })?.code ?? null;
    expect([gap(30, 30), gap(40, 30), gap(30, ISSUED_AT + 101)]).toEqual(["conflict", "conflict", "conflict"]);
    expect([gap(ISSUED_AT + 15, ISSUED_AT + 30), gap(ISSUED_AT, ISSUED_AT + 11)]).toEqual(["conflict", "conflict"]);
    expect([gap(ISSUED_AT + 10, ISSUED_AT + 20), gap(ISSUED_AT + 20, ISSUED_AT + 30)]).toEqual([null, null]);
  });
});

describe("a server's silence before the job is there", () => {
  const { claimIntervalMs } = DEFAULT_TIMINGS;
  const startBy = ISSUED_AT + acceptWithinMs + startWithinMs;

  it("is not its customer's: it has as much more time", () => {
    const lease = opened();
    const late = lease.heardAt + 3 * claimIntervalMs;
    expect(inputsByOf(lease, late)).toBe(startBy + 3 * claimIntervalMs);
    const heard = claimed(lease, { usedMs: 0 }, late);
    expect(heard.silentMs).toBe(heard.heardAt - lease.heardAt);
    expect(inputsByOf(heard, heard.heardAt)).toBe(startBy + heard.silentMs);
    // a second one counts too
    const twice = claimed(heard, { usedMs: 0, sequence: 2, previous: heard.lastClaim?.id ?? "" }, heard.heardAt + 3 * claimIntervalMs);
    expect(twice.silentMs).toBeGreaterThan(heard.silentMs + 3 * claimIntervalMs - 1);
  });

  it("is none while its claims come, nor while no broker heard", () => {
    const lease = opened();
    expect(inputsByOf(lease, lease.heardAt + 2 * claimIntervalMs)).toBe(startBy);
    const heard = claimed(lease, { usedMs: 0 }, lease.heardAt + claimIntervalMs);
    expect(heard.silentMs).toBe(0);
    const gone = away(lease, lease.heardAt + 1, lease.heardAt + 1 + 3 * claimIntervalMs);
    expect(inputsByOf(gone, gone.heardAt + 4 * claimIntervalMs)).toBe(startBy + 3 * claimIntervalMs);
  });
});

describe("a dispute's deadline", () => {
  it("is the operator's for an objection, the server's for a trace, and silence ends both", () => {
    const objected = told(settled(), "objection");
    expect(dueAt(objected)).toBe(objected.toldAt + DEFAULT_TIMINGS.ruleWithinMs);
    expect(quietEnd(objected, dueAt(objected))?.final).toMatchObject({ ownerNanos: objected.end?.ownerNanos, judgement: "none" });
    const doubted = told(settled(), "trace-request");
    expect(quietEnd(doubted, dueAt(doubted))?.final).toMatchObject({ ownerNanos: "0", why: expect.stringContaining("did not answer") });
    const answered = told(doubted, "trace");
    expect(quietEnd(answered, dueAt(answered))?.final).toMatchObject({
      ownerNanos: answered.end?.ownerNanos,
      why: expect.stringContaining("follow up"),
    });
  });

  it("goes by the fuel there was time for, whatever a result states", () => {
    const stating = (fuel: bigint): Lease => {
      const lease = opened({ order: { fuelMax: FUEL_MAX.toString() } });
      const result = told(lease, "result", { at: ISSUED_AT + 2_000, content: { fuel: fuel.toString() } });
      return told(told(told(told(result, "delivery"), "closing"), "settlement"), "trace-request", {
        content: { step: FUEL_MAX.toString() },
      });
    };
    const [most, lie] = [stating(2n * FUEL_PER_HOST_SECOND_MAX), stating(FUEL_MAX)];
    expect(BigInt(lie.result?.fuel ?? 0)).toBe(FUEL_MAX);
    expect(dueAt(lie)).toBe(dueAt(most));
    expect(dueAt(told(lie, "trace")) - dueAt(told(most, "trace"))).toBe(0);
  });

  it("closes the door to whatever comes after it", () => {
    const lease = settled();
    const after = { at: dueAt(lease) + 1 };
    expect(dueAt(lease)).toBe((lease.end?.at ?? 0) + disputeWindowMs);
    for (const kind of ["objection", "trace-request", "dispute", "verdict"] as const)
      expect(refusalOf(lease, kind, after)?.code, kind).toBe("too_late");
    const objected = told(lease, "objection");
    expect(refusalOf(objected, "ruling", { at: dueAt(objected) + 1 })?.code).toBe("too_late");
    const doubted = told(lease, "trace-request");
    for (const kind of ["trace", "verdict"] as const)
      expect(refusalOf(doubted, kind, { at: dueAt(doubted) + 1 })?.code, kind).toBe("too_late");
    const convicted = IN_STATE.convicted();
    expect(dueAt(convicted)).toBe(convicted.toldAt + disputeWindowMs);
    expect(deadlineOf(quietEnd(convicted, dueAt(convicted)) ?? convicted)).toBeNull();
  });
});
