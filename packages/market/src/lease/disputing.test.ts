/** After the settlement: what each end of a doubt or an objection does with the money, and what stops one before it freezes anything. */
import { describe, expect, it } from "vitest";
import type { ResultContent } from "./facts.ts";
import type { FinalMoney, Lease } from "./lease.ts";
import { drawReferee } from "../referees.ts";
import { objectionDepositNanos, quietEnd } from "./disputing.ts";
import { deadlineOf } from "./deadlines.ts";
import {
  DIGEST,
  ISSUED_AT,
  OWNER,
  REFEREES,
  appealed,
  delivering,
  drawn,
  judgeable,
  opened,
  refusalOf,
  settled,
  told,
  type Terms,
} from "./lease.fixture.ts";

const FEE: Terms = { fee: { basisPoints: 500, effectiveAt: ISSUED_AT } };
const REPLICATED: Terms = { ...FEE, order: { assurance: "replicated" } };
const end = (lease: Lease) => lease.end ?? { ownerNanos: "", feeNanos: "", dueNanos: "" };
const asOwner = { signer: OWNER, content: { expectedDueNanos: "5000" } };

/** Whatever the end of it: what was paid goes to somebody, all of it. */
function conserves(lease: Lease): FinalMoney {
  const { final } = lease;
  if (!final) throw new Error("not final");
  expect(BigInt(final.ownerNanos) + BigInt(final.feeNanos) + BigInt(final.backNanos)).toBe(BigInt(end(lease).dueNanos));
  return final;
}

describe("an objection", () => {
  it("costs a tenth of what it is about, rounded up", () => {
    expect(objectionDepositNanos("3000", "0")).toBe(300n);
    expect(objectionDepositNanos("0", "11")).toBe(2n);
    expect(told(settled(), "objection").objection).toMatchObject({ by: "customer", depositNanos: "300" });
  });

  it("is stopped before it freezes anything", () => {
    const lease = settled();
    expect(refusalOf(lease, "objection", { content: { expectedDueNanos: end(lease).dueNanos } })?.code).toBe("bad_payload");
    expect(refusalOf(lease, "objection", { content: { expectedDueNanos: (BigInt(lease.holdNanos) + 1n).toString() } })?.code).toBe(
      "bad_payload",
    );
    expect(refusalOf(told(lease, "objection"), "objection", asOwner)?.code).toBe("wrong_state");
    expect(refusalOf(opened(), "objection")?.code).toBe("wrong_state");
  });

  it("is ruled on: who was wrong loses the deposit", () => {
    const objected = told(settled(FEE), "objection");
    const { ownerNanos, feeNanos } = end(objected);
    expect(conserves(told(objected, "ruling")).deposits).toMatchObject([{ from: "customer", to: "customer" }]);
    expect(conserves(told(objected, "ruling", { content: { ownerNanos: "1000" } })).deposits).toMatchObject([{ to: "customer" }]);
    expect(conserves(told(objected, "ruling", { content: { ownerNanos } }))).toMatchObject({
      feeNanos,
      backNanos: "0",
      deposits: [{ to: "owner" }],
    });
    const owners = told(settled(FEE), "objection", asOwner);
    expect(conserves(told(owners, "ruling", { content: { ownerNanos } })).deposits).toMatchObject([{ from: "owner", to: "owner" }]);
    expect(conserves(told(owners, "ruling")).deposits).toMatchObject([{ from: "owner", to: "customer" }]);
  });

  it("is ruled on within what is pending, and only where there is one", () => {
    const objected = told(settled(), "objection");
    expect(refusalOf(objected, "ruling", { content: { ownerNanos: (BigInt(end(objected).ownerNanos) + 1n).toString() } })?.code).toBe(
      "bad_payload",
    );
    expect(refusalOf(told(settled(), "trace-request"), "ruling")?.code).toBe("wrong_state");
  });
});

describe("a doubt", () => {
  const lease = settled(REPLICATED);
  const asked = told(lease, "trace-request");

  it("asks once, of a result that can be compared, for few enough checkpoints", () => {
    expect(refusalOf(asked, "trace-request")?.code).toBe("wrong_state");
    expect(refusalOf(lease, "trace-request", { content: { step: "0" } })?.code).toBe("bad_payload");
    expect(refusalOf(lease, "trace-request", { content: { step: "1" } })?.code).toBe("bad_payload");
    const failed = told(told(told(opened(), "result", { content: { reason: "server-failed", exitCode: null } }), "closing"), "settlement");
    for (const kind of ["trace-request", "dispute", "verdict"] as const) expect(refusalOf(failed, kind)?.code, kind).toBe("not_comparable");
  });

  it("about a result that was never delivered costs its server no second run: nothing is paid for it", () => {
    const waiting = delivering();
    const at = deadlineOf(waiting) ?? 0;
    const unpaid = told(told(waiting, "closing", { at, content: { reason: "not-delivered" } }), "settlement", { at });
    expect(unpaid.end).toMatchObject({ reason: "not-delivered", dueNanos: "0" });
    for (const kind of ["trace-request", "dispute", "verdict"] as const)
      expect(refusalOf(unpaid, kind, { at })?.code, kind).toBe("not_comparable");
  });

  it("of an ordinary machine proves nothing: it runs differently each time", () => {
    const vm = { order: { driver: "qemu", terms: "by-interval" } } as const;
    const machine = told(told(told(opened(vm), "result"), "closing"), "settlement");
    for (const kind of ["trace-request", "dispute", "verdict"] as const)
      expect(refusalOf(machine, kind)?.code, kind).toBe("not_comparable");
    const proved = { order: { ...vm.order, assurance: "deterministic-vm", terms: "on-result" } } as const;
    // a whole machine is run again whole
    expect(refusalOf(judgeable(proved), "dispute")).toBeNull();
    expect(refusalOf(settled(proved), "trace-request")?.code).toBe("not_comparable");
  });

  it("about what was ended before its own end is a referee's to run up to there, all of it or a segment", () => {
    const ended = (content: Partial<ResultContent>, terms: Terms = {}) => {
      const order = { ...REPLICATED.order, fuelMax: "7000000000", ...terms.order };
      const lease = opened({ ...REPLICATED, ...terms, order });
      const result = { ...content, exitCode: null };
      return told(told(told(told(lease, "result", { content: result }), "delivery"), "closing"), "settlement");
    };
    const atLimit = ended({ reason: "fuel-limit", fuel: "7000000000" });
    expect(refusalOf(drawn(atLimit), "dispute")).toBeNull();
    expect(refusalOf(drawn(atLimit), "verdict")).toBeNull();
    expect(refusalOf(atLimit, "trace-request")).toBeNull();
    const lease = opened({ ...REPLICATED, order: { ...REPLICATED.order } });
    const stopped = { reason: "customer-stop", exitCode: null } as const;
    const stop = (fuel: string) =>
      told(told(told(told(told(lease, "stop"), "result", { content: { ...stopped, fuel } }), "delivery"), "closing"), "settlement");
    expect(refusalOf(drawn(stop("5")), "dispute")).toBeNull();
    expect(refusalOf(stop("5000000000"), "trace-request")).toBeNull();
    // one that had done nothing has nothing to show, and is paid nothing
    expect(stop("0").end?.dueNanos).toBe("0");
    for (const kind of ["dispute", "trace-request"] as const) expect(refusalOf(stop("0"), kind)?.code).toBe("not_comparable");
  });

  it("is answered as it was asked, once", () => {
    for (const content of [{ server: "another" }, { request: "another" }, { step: "7" }, { jobHash: "another" }, { engine: "another" }])
      expect(refusalOf(asked, "trace", { content })?.code).toBe("result_mismatch");
    expect(refusalOf(told(asked, "trace"), "trace")?.code).toBe("wrong_state");
  });
});

describe("a doubt about the whole", () => {
  const lease = settled(REPLICATED);
  const asked = told(lease, "trace-request", { content: { step: null } });

  it("costs a tenth, asks the server for nothing, and waits for the referee", () => {
    expect(asked.trace?.depositNanos).toBe(objectionDepositNanos(end(lease).dueNanos, "0").toString());
    expect(refusalOf(asked, "trace", { content: { step: "1" } })?.code).toBe("wrong_state");
    expect(deadlineOf(asked)).not.toBeNull();
    expect(refusalOf(asked, "dispute")?.code).toBe("wrong_state");
  });

  it("is never about a referee's own run", () => {
    const judging = settled({ order: { ...REPLICATED.order, judges: "another lease" } });
    expect(refusalOf(judging, "trace-request", { content: { step: null } })).toMatchObject({ code: "not_comparable" });
  });
});

describe("a draw", () => {
  const asked = told(settled(REPLICATED), "trace-request", { content: { step: null } });

  it("is the one that follows from the settlement, of the same candidates, one round after the other", () => {
    expect(refusalOf(settled(), "draw")?.code).toBe("wrong_state");
    expect(refusalOf(asked, "draw", { content: { referee: "r9" } })?.code).toBe("not_drawn");
    expect(refusalOf(asked, "draw", { content: { candidates: ["r2", "r1"] } })?.code).toBe("not_drawn");
    expect(refusalOf(asked, "draw", { content: { candidates: ["r1", "r1"] } })?.code).toBe("not_drawn");
    expect(refusalOf(asked, "draw", { content: { round: REFEREES.length + 2, referee: null } })?.code).toBe("not_drawn");
    const once = told(asked, "draw");
    expect(refusalOf(once, "draw", { content: { round: 1, referee: once.draw?.referee ?? "" } })?.code).toBe("not_drawn");
    const fewer = { candidates: ["r1"], referee: drawReferee(DIGEST, ["r1"], 2) };
    expect(refusalOf(once, "draw", { content: fewer })?.code).toBe("not_drawn");
    const skipped = { round: 2, referee: drawReferee(DIGEST, REFEREES, 2) };
    expect(refusalOf(asked, "draw", { content: skipped })?.code).toBe("not_drawn");
    expect(refusalOf(once, "draw", { content: { passed: [] } })?.code).toBe("not_drawn");
    expect(refusalOf(once, "draw", { content: { passed: [{ referee: "r9" }] } })?.code).toBe("not_drawn");
    const said = { ...skipped, passed: [{ referee: drawReferee(DIGEST, REFEREES, 1) ?? "" }] };
    expect(told(asked, "draw", { content: said }).draw).toMatchObject({ round: 2 });
    expect(told(once, "draw").draw).toMatchObject({ round: 2, at: once.toldAt + 1 });
  });

  it("gives the next referee its own time, and ends the doubt where nobody is left: as the settlement says", () => {
    const first = told(asked, "draw");
    const second = told(first, "draw", { at: (deadlineOf(first) ?? 0) - 1 });
    expect(deadlineOf(second)).toBeGreaterThan(deadlineOf(first) ?? 0);
    const nobody = told(told(second, "draw"), "draw");
    expect(conserves(nobody)).toMatchObject({
      ...{ ownerNanos: end(asked).ownerNanos, judgement: "none", stakeTo: "owner", why: "no referee is left to judge it" },
      deposits: [{ of: "trace", from: "customer", to: "customer" }],
    });
  });
});

describe("a verdict", () => {
  const lease = judgeable(REPLICATED);

  it("gives everything back and locks the stake, only for a proven lie, by whoever was drawn", () => {
    const money = conserves(told(told(lease, "dispute"), "verdict"));
    expect(money).toMatchObject({
      ownerNanos: "0",
      feeNanos: "0",
      backNanos: end(lease).dueNanos,
      stakeTo: "locked",
      judgement: "wrong",
    });
    for (const finding of ["agrees", "unknown", "not-comparable"] as const)
      expect(refusalOf(lease, "verdict", { content: { finding } })?.code).toBe("not_comparable");
    expect(refusalOf(lease, "verdict", { content: { refundNanos: "1" } })?.code).toBe("bill_mismatch");
    expect(refusalOf(lease, "verdict", { content: { slashedNanos: "0" } })?.code).toBe("bill_mismatch");
    expect(refusalOf(lease, "verdict", { content: { slashedTo: "another" } })?.code).toBe("bill_mismatch");
    for (const content of [{ referee: "r9" }, { round: 2 }, { round: null }])
      expect(refusalOf(lease, "verdict", { content })?.code).toBe("not_drawn");
    expect(refusalOf(settled(REPLICATED), "verdict")?.code).toBe("not_drawn");
    expect(refusalOf(told(told(settled(REPLICATED), "trace-request"), "draw"), "verdict")?.code).toBe("not_drawn");
  });

  it("that agrees ends what was under way, and frees nobody of a doubt that was not raised", () => {
    const agrees = { content: { finding: "agrees" } } as const;
    expect(refusalOf(settled(REPLICATED), "dispute", agrees)?.code).toBe("wrong_state");
    expect(conserves(told(lease, "dispute", agrees))).toMatchObject({
      judgement: "right",
      stakeTo: "owner",
      deposits: [{ of: "trace", to: "owner" }],
    });
    expect(refusalOf(lease, "dispute", { content: { finding: "agrees", whole: false } })?.code).toBe("result_agrees");
    expect(refusalOf(lease, "dispute", { content: { finding: "not-comparable" } })?.code).toBe("not_comparable");
    expect(told(lease, "dispute", { content: { finding: "unknown" } }).state).toBe("disputed");
  });

  it("on a referee's own run is for good, whenever it is found: its stake goes to whom it convicted", () => {
    const judging = settled({ order: { ...REPLICATED.order, judges: "another lease" } });
    const late = { at: (deadlineOf(judging) ?? 0) + 1_000_000 };
    const content = { round: null, referee: "r2", slashedTo: "the wronged owner" };
    expect(told(judging, "verdict", { ...late, content })).toMatchObject({
      state: "final",
      final: { ownerNanos: "0", stakeTo: "wronged", wronged: "the wronged owner", judgement: "wrong" },
    });
    expect(refusalOf(judging, "verdict", { content: { ...content, finding: "agrees" } })?.code).toBe("not_comparable");
  });
});

describe("an appeal", () => {
  const convicted = told(judgeable(REPLICATED), "verdict");

  it("takes a second referee, and time for it: else the verdict stands", () => {
    expect(deadlineOf(convicted)).toBe((convicted.verdict?.at ?? 0) + convicted.timings.disputeWindowMs);
    expect(refusalOf(convicted, "appeal")?.code).toBe("wrong_state");
    expect(refusalOf(convicted, "review")?.code).toBe("not_drawn");
    const stands = quietEnd(convicted, deadlineOf(convicted) ?? 0);
    expect(stands?.final).toMatchObject({ stakeTo: "customer", judgement: "wrong" });
    const second = appealed(REPLICATED);
    expect(deadlineOf(second)).toBeGreaterThan(deadlineOf(convicted) ?? 0);
    expect(quietEnd(second, (deadlineOf(second) ?? 0) - 1)).toBeNull();
    expect(refusalOf(second, "appeal", { at: (deadlineOf(second) ?? 0) + 1 })?.code).toBe("too_late");
    expect(refusalOf(second, "review", { at: (deadlineOf(second) ?? 0) + 1 })?.code).toBe("too_late");
  });

  it("gives the stake back where the second referee bears the server out, and to its customer where it does not", () => {
    const second = told(appealed(REPLICATED), "appeal");
    expect(conserves(told(second, "review"))).toMatchObject({ stakeTo: "owner", judgement: "right", ownerNanos: "0" });
    const differs = { content: { finding: "differs" } } as const;
    expect(conserves(told(second, "review", differs))).toMatchObject({ stakeTo: "customer", judgement: "wrong" });
    for (const finding of ["unknown", "not-comparable"] as const)
      expect(refusalOf(second, "review", { content: { finding } })?.code).toBe("not_comparable");
    for (const content of [{ round: 1 }, { referee: "r9" }]) expect(refusalOf(second, "review", { content })?.code).toBe("not_drawn");
  });

  it("leaves the verdict where no other referee is left", () => {
    const nobody = told(told(appealed(REPLICATED), "draw"), "draw");
    expect(nobody.final).toMatchObject({ stakeTo: "customer", why: expect.stringContaining("no other is left") });
  });
});
