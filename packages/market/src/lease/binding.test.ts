/** A purchase order follows from what was signed, in every field, or it binds nobody. */
import { describe, expect, it } from "vitest";
import { bindingProblem } from "./binding.ts";
import type { PurchaseOrderContent } from "./facts.ts";
import { step } from "./step.ts";
import { DEFAULT_TIMINGS, TIMING_KEYS } from "./timings.ts";
import { ISSUED_AT, OPERATOR, OWNER, STRANGER, beginning, partySpeaker, type Terms } from "./lease.fixture.ts";

const problem = (terms: Terms): string | null => bindingProblem(beginning(terms).content);
const po = (over: Partial<PurchaseOrderContent>) => problem({ po: over });

describe("a purchase order", () => {
  it("binds what goes together", () => {
    expect(problem({})).toBeNull();
    expect(problem({ order: { terms: "by-interval" } })).toBeNull();
    expect(problem({ order: { replicas: 2, assurance: "replicated" }, po: { slot: 1 } })).toBeNull();
    expect(problem({ fee: { basisPoints: 500, effectiveAt: ISSUED_AT } })).toBeNull();
  });

  it.each([
    ["orderId", "another"],
    ["offerId", "another"],
    ["slot", 1],
    ["slot", -1],
    ["attempt", 0],
    ["origin", "another/market"],
    ["customer", "stranger"],
    ["account", "another"],
    ["owner", "stranger"],
    ["server", "another"],
    ["serverKey", "another"],
    ["resources", { vcpu: 2, memoryMib: 512, diskMib: 1024 }],
    ["terms", "by-interval"],
    ["durationMsMax", 3_600_001],
    ["durationMsMax", 0],
    ["fuelMax", "2000000000000"],
    ["egressMibMax", 1],
    ["timeBound", "budget"],
    ["fuelBound", "budget"],
    ["holdNanos", "99999999999"],
    ["holdNanos", "1"],
    ["cancellationNanos", "99999"],
    ["feeBasisPoints", 1],
    ["stakeNanos", "1"],
    ["auditPpm", 1],
    ["auditedBefore", -1],
    ["auditReserveNanos", "1"],
    ["acceptBy", ISSUED_AT + 1],
    ["startBy", ISSUED_AT + 1],
    ["issuedAt", ISSUED_AT + 60_000],
    ["price", { ...beginning().content.payload.price, gigaFuelNanos: "601" }],
    ["timings", { ...DEFAULT_TIMINGS, graceMs: 1 }],
  ] satisfies [keyof PurchaseOrderContent, unknown][])("with another %s (%s) binds nobody", (key, value) => {
    expect(po({ [key]: value })).not.toBeNull();
  });

  it("holds the work and the whole of a referee's run, where results are audited, at the rate of the stated record", () => {
    const audited = { assurance: "replicated" } as const;
    const { payload } = beginning({ order: audited }).content;
    expect(problem({ order: audited })).toBeNull();
    expect(payload).toMatchObject({ auditPpm: 1_000_000, auditReserveNanos: payload.stakeNanos });
    expect(BigInt(payload.holdNanos)).toBe(2n * BigInt(payload.auditReserveNanos));
    expect(problem({ order: audited, po: { auditedBefore: 396, auditPpm: 10_000 } })).toBeNull();
    const wrong: [Partial<PurchaseOrderContent>, string][] = [
      [{ auditedBefore: 396 }, "rate of audits"],
      [{ auditPpm: 0 }, "rate of audits"],
      [{ auditPpm: 10_000 }, "rate of audits"],
      [{ auditReserveNanos: "0" }, "held for an audit"],
      [{ holdNanos: payload.auditReserveNanos }, "hold does not follow"],
      [{ stakeNanos: payload.holdNanos }, "locked stake"],
    ];
    for (const [over, why] of wrong) expect(problem({ order: audited, po: over })).toContain(why);
    expect(problem({ order: { ...audited, budgetNanos: payload.auditReserveNanos } })).toBeNull();
  });

  it.each(TIMING_KEYS)("holds both signers to the timing %s that each has signed", (key) => {
    const other = { ...DEFAULT_TIMINGS, [key]: DEFAULT_TIMINGS[key] + 1 };
    expect(
      problem({ order: { timings: other }, po: { timings: DEFAULT_TIMINGS, acceptBy: ISSUED_AT + 5_000, startBy: ISSUED_AT + 65_000 } }),
    ).toContain("customer");
    expect(problem({ offer: { timings: other } })).toContain("owner");
  });

  it("stands in the log at the time that it says", () => {
    expect(step(null, { ...beginning(), at: ISSUED_AT + 1 })).toMatchObject({ ok: false, code: "po_mismatch" });
    expect(step(null, beginning()).ok).toBe(true);
  });
});

describe("whoever signed order and offer", () => {
  it("may spend for this customer, from this account, under this label", () => {
    const by = (orderSigner: Terms["orderSigner"], order: Terms["order"] = {}) => problem(orderSigner ? { orderSigner, order } : { order });
    expect(by(STRANGER)).toContain("the order is not signed");
    expect(by(OPERATOR)).toContain("the order is not signed");
    expect(by(partySpeaker("customer", "server"))).toContain("the order is not signed");
    expect(by(partySpeaker("customer", "ci", { scopes: ["read"] }))).toContain("the order is not signed");
    expect(by(partySpeaker("customer", "ci", { account: "another" }))).toContain("the order is not signed");
    expect(by(partySpeaker("customer", "ci", { label: "nightly" }))).toContain("the order is not signed");
    expect(by(partySpeaker("customer", "ci", { account: "a", label: "nightly" }), { label: "nightly" })).toBeNull();
  });

  it("is this very server of this owner", () => {
    const by = (offerSigner: Terms["offerSigner"]) => problem(offerSigner ? { offerSigner } : {});
    expect(by(OWNER)).toContain("the offer is not signed");
    expect(by(partySpeaker("stranger", "server", { key: "owner/server" }))).toContain("the offer is not signed");
    expect(by(partySpeaker("owner", "server", { scopes: ["read"] }))).toContain("the offer is not signed");
    const fact = beginning();
    expect(bindingProblem({ ...fact.content, serverOfKey: "another" })).toContain("the offer is not signed");
  });
});

describe("order and offer", () => {
  const fits: [string, Terms][] = [
    ["region=eu on an offer us", { order: { conditions: [{ key: "region", op: "=", value: "eu" }] }, offer: { labels: { region: "us" } } }],
    ["a stranger's job on a server with allowed parties", { offer: { allowedParties: ["friend"] } }],
    ["--on mine on another's server", { order: { on: "mine" } }],
    ["a driver that is not offered", { offer: { drivers: ["qemu"] } }],
    ["an assurance that is not offered", { order: { assurance: "replicated" }, offer: { assurances: ["isolated"] } }],
    ["more memory than there is", { offer: { resources: { vcpu: 1, memoryMib: 256, diskMib: 1024 } } }],
    ["a longer time than the owner leases", { offer: { maxLeaseMs: 1_000 } }],
    ["a price over the highest", { order: { maxPriceNanosPerHour: "1" } }],
    ["an offer that had expired", { offer: { validUntil: ISSUED_AT } }],
    ["an order that had expired", { order: { expiresAt: ISSUED_AT } }],
    ["an order that is wrong by itself", { order: { replicas: 2 } }],
    ["a condition that nobody knows", { order: { conditions: [{ key: "nonsense", op: "=", value: "1" }] } }],
    ["another market's order", { order: { origin: "another/market" } }],
    ["another market's offer", { offer: { origin: "another/market" } }],
    [
      "egress where there is none",
      {
        order: { driver: "qemu", terms: "by-interval", egress: "public", egressMibMax: 1 },
        offer: { egress: "names" },
      },
    ],
  ];
  it.each(fits)("do not bind %s", (_, terms) => {
    expect(problem(terms)).not.toBeNull();
    expect(step(null, beginning(terms))).toMatchObject({ ok: false, code: "po_mismatch" });
  });

  it("bind the owner's own job on its closed server", () => {
    const own = { order: { party: "owner", on: "mine" }, offer: { allowedParties: ["friend"] }, orderSigner: OWNER } as const;
    expect(problem(own)).toBeNull();
  });
});

describe("a fee", () => {
  it("is the announced one, in force, and within what both signed", () => {
    const fee = { basisPoints: 500, effectiveAt: ISSUED_AT };
    expect(problem({ po: { feeBasisPoints: 5_000 } })).toContain("announced");
    expect(problem({ fee, po: { feeBasisPoints: 501 } })).toContain("announced");
    expect(problem({ fee, po: { feeBasisPoints: 0 } })).toContain("announced");
    expect(problem({ fee: { ...fee, effectiveAt: ISSUED_AT + 1 } })).toContain("later");
    expect(problem({ fee: { ...fee, basisPoints: 501 } })).toContain("customer");
    expect(problem({ fee, offer: { feeBasisPointsMax: 499 } })).toContain("owner");
    expect(problem({ fee, order: { feeBasisPointsMax: 499 } })).toContain("customer");
  });
});
