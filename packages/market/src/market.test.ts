import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  END_REASONS,
  LEASE_EVENTS,
  LEASE_STATES,
  Ledger,
  PAYMENT_TERMS,
  TERMS,
  AUDIT_RATE_FLOOR,
  EMPTY_RECORD,
  affordableMs,
  auditRate,
  checkClaim,
  checkConditions,
  costNanos,
  exclusionOf,
  explainExclusions,
  formatMoney,
  impliedResources,
  match,
  nextLeaseState,
  parseConditions,
  parseMoney,
  parseNanos,
  quote,
  settle,
  type Candidate,
  type Wish,
} from "./index.ts";

const price = { vcpuNanosPerSecond: 10_000n, memoryGibNanosPerSecond: 1_000n, diskGibNanosPerSecond: 10n, gigaFuelNanos: 600n, egressGibNanos: 0n };
const resources = { vcpu: 1, memoryMib: 512, diskMib: 1024 };
const candidate = (over: Partial<Candidate> = {}): Candidate => ({
  offerId: "o",
  owner: "p_owner",
  server: "s_1",
  resources: { vcpu: 4, memoryMib: 8192, diskMib: 10_000 },
  free: { vcpu: 4, memoryMib: 8192, diskMib: 10_000 },
  price,
  drivers: ["wasm"],
  assurances: ["isolated"],
  labels: { region: "eu" },
  sandbox: "strong",
  engine: "e",
  vmEngine: "",
  accel: "none",
  vmScore: 0,
  limits: "process",
  egress: "none",
  fetches: false,
  cpuScore: 100,
  validUntil: 1e15,
  maxLeaseMs: 1e9,
  online: true,
  suspended: false,
  allowedParties: [],
  ...over,
});
const wish = (over: Partial<Wish> = {}): Wish => ({
  customer: "p_c",
  resources,
  driver: "wasm",
  accel: "any",
  egress: "none",
  terms: "by-interval",
  assurance: "isolated",
  conditions: [],
  on: "market",
  maxPriceNanosPerHour: null,
  durationMs: 1000,
  ...over,
});

describe("money", () => {
  it("reads and shows amounts without floating point", () => {
    expect(parseMoney("0.05")).toBe(50_000_000n);
    expect(parseMoney("1")).toBe(1_000_000_000n);
    expect(parseMoney("0.0000000001")).toBeNull();
    expect(parseMoney("-1")).toBeNull();
    expect(formatMoney(-1_500_000_001n)).toBe("-1.500000001");
    expect(parseNanos("007")).toBeNull();
    expect(parseNanos("1e3")).toBeNull();
  });
  it("round-trips any amount", () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 999_999_999_999_999n }), (n) => parseMoney(formatMoney(n)) === n));
  });
});

describe("conditions", () => {
  it("refuses unknown keys and says which are known", () => {
    const parsed = parseConditions("cpus>=2");
    expect(parsed).toMatchObject({ ok: false, code: "bad_condition", condition: "cpus>=2" });
    expect(!parsed.ok && parsed.why).toContain("cpu");
  });
  it.each([["cpu>=x"], ["region>eu"], ["price<cheap"], ["mem"], ["constructor=1"], ["label.__proto__=1"]])("refuses %s", (text) => {
    expect(parseConditions(text).ok).toBe(false);
  });
  it("reads sizes and implies resources", () => {
    const parsed = parseConditions("cpu>=2 mem>=4G,region=eu price<0.05");
    expect(parsed.ok && impliedResources(parsed.conditions, resources)).toEqual({ vcpu: 2, memoryMib: 4096, diskMib: 1024 });
    expect(parsed.ok && checkConditions(parsed.conditions)).toBeNull();
  });
});

describe("matching", () => {
  const excluded: [string, Partial<Candidate>, Partial<Wish>][] = [
    ["offline", { online: false }, {}],
    ["expired", { validUntil: 5 }, {}],
    ["suspended", { suspended: true }, {}],
    ["not-yours", {}, { on: "mine" }],
    ["not-allowed", { allowedParties: ["p_x"] }, {}],
    ["driver", {}, { driver: "qemu" }],
    ["assurance", {}, { assurance: "attested" }],
    ["duration", { maxLeaseMs: 10 }, {}],
    ["region=us", {}, { conditions: [{ key: "region", op: "=", value: "us" }] }],
    ["max-price", {}, { maxPriceNanosPerHour: 1n }],
    ["capacity", { free: { vcpu: 0, memoryMib: 1, diskMib: 1 } }, {}],
  ];
  it.each(excluded)("names %s", (why, c, w) => {
    expect(exclusionOf(candidate(c), wish(w), 10)).toBe(why);
  });
  it("sorts by price and explains an empty answer", () => {
    const cheap = candidate({ server: "s_2", price: { ...price, vcpuNanosPerSecond: 1n } });
    expect(match([candidate(), cheap], wish(), 10).matches.map((m) => m.server)).toEqual(["s_2", "s_1"]);
    expect(explainExclusions(match([candidate({ online: false })], wish(), 10).excluded)).toBe("offline excluded 1");
  });
});

describe("settlement", () => {
  const input = {
    reason: "completed",
    terms: "by-interval",
    resources,
    price,
    holdNanos: 10_000_000n,
    feeBasisPoints: 500,
    durationMsMax: 60_000,
    fuelMax: 1_000_000_000_000n,
    claimedMs: 1500,
    claimedFuel: 5_500_000_000n,
    claimedEgressBytes: 0n,
    egressMibMax: 0,
    openMs: 2000,
    cancellationNanos: 7n,
  } as const;
  it("bills the least of claimed, open and maximum", () => {
    expect(settle(input)).toMatchObject({ billableMs: 1500, dueNanos: costNanos(resources, price, 1500), blame: "nobody" });
    expect(settle({ ...input, claimedMs: 9_000 }).billableMs).toBe(2000);
    expect(settle({ ...input, openMs: 90_000, claimedMs: 90_000 }).billableMs).toBe(60_000);
  });
  it("bills a job on result by its fuel alone, at most what was ordered", () => {
    expect(settle({ ...input, terms: "on-result" })).toMatchObject({ billableFuel: 5_500_000_000n, dueNanos: 3_300n });
    expect(settle({ ...input, terms: "on-result", claimedMs: 60_000, openMs: 60_000 }).dueNanos).toBe(3_300n);
    expect(settle({ ...input, terms: "on-result", claimedFuel: 10n ** 15n })).toMatchObject({ billableFuel: 10n ** 12n, dueNanos: 600_000n });
  });
  it("bills a run that was stopped from outside for no more fuel than its clock had time for", () => {
    const stopped = { ...input, terms: "on-result", reason: "time-limit", claimedFuel: 10n ** 15n } as const;
    expect(settle(stopped).billableFuel).toBe(15_000_000_000n);
    expect(settle({ ...stopped, claimedFuel: 5n }).billableFuel).toBe(5n);
    expect(settle({ ...stopped, openMs: 100 }).billableFuel).toBe(1_000_000_000n);
  });
  it("quotes the fuel that the budget pays for, whatever the time", () => {
    const q = quote({ terms: "on-result", resources, price, budgetNanos: 1_000n, durationMsMax: 3_600_000, fuelMax: 10n ** 12n, egressMibMax: 0 });
    expect(q).toMatchObject({ timeBound: "time-limit", fuelBound: "budget", durationMsMax: 3_600_000, fuelMax: 1_666_666_666n, holdNanos: 999n });
    expect(
      quote({
        terms: "on-result",
        resources,
        price: { ...price, gigaFuelNanos: 0n, egressGibNanos: 0n },
        budgetNanos: 0n,
        durationMsMax: 1,
        fuelMax: 7n,
        egressMibMax: 0,
      }),
    ).toMatchObject({
      fuelMax: 7n,
      holdNanos: 0n,
    });
  });
  it("conserves money and never exceeds the hold, for every reason and terms", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...END_REASONS),
        fc.constantFrom(...PAYMENT_TERMS),
        fc.nat(1e7),
        fc.nat(1e7),
        fc.bigInt(0n, 10n ** 12n),
        fc.integer({ min: 0, max: 10_000 }),
        (reason, terms, claimedMs, openMs, holdNanos, feeBasisPoints) => {
          const s = settle({ ...input, reason, terms, claimedMs, openMs, holdNanos, feeBasisPoints });
          expect(s.feeNanos + s.ownerNanos + s.refundNanos).toBe(holdNanos);
          expect(s.ownerNanos >= 0n && s.feeNanos >= 0n && s.refundNanos >= 0n).toBe(true);
          if (TERMS[reason].pay[terms] === "nothing") expect(s.dueNanos).toBe(0n);
        },
      ),
    );
  });
  it("pays nothing on result when the owner or the broker is to blame", () => {
    for (const reason of END_REASONS) if (["owner", "broker"].includes(TERMS[reason].blame)) expect(TERMS[reason].pay["on-result"]).toBe("nothing");
  });
  it("quotes what the budget pays for", () => {
    const q = quote({ terms: "by-interval", resources, price, budgetNanos: 1_000_000n, durationMsMax: 3_600_000, fuelMax: 5n, egressMibMax: 0 });
    expect([q.timeBound, q.fuelBound, q.fuelMax]).toEqual(["budget", "fuel-limit", 5n]);
    expect(q.holdNanos <= 1_000_000n).toBe(true);
    expect(costNanos(resources, price, affordableMs(resources, price, 1_000_000n) + 1) >= 1_000_000n).toBe(true);
  });
});

describe("audits", () => {
  const record = (audited: number) => ({ ...EMPTY_RECORD, audited });
  it("audits every job of a newcomer, and never fewer than one in twenty", () => {
    expect(auditRate(record(0), 1n, 1_000_000n)).toBe(1);
    expect(auditRate(record(4), 1n, 1_000_000n)).toBe(0.5);
    expect(auditRate(record(100_000), 1n, 10n ** 18n)).toBe(AUDIT_RATE_FLOOR);
  });
  it("leaves a cheat no expected gain, whatever price and stake", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 15n), fc.bigInt(0n, 10n ** 15n), fc.nat(1_000_000), (due, stake, audited) => {
        const p = auditRate(record(audited), due, stake);
        expect(p).toBeGreaterThanOrEqual(AUDIT_RATE_FLOOR);
        expect(p * Number(stake) - (1 - p) * Number(due)).toBeGreaterThanOrEqual(-1e-3 * Number(due) - 1);
      }),
    );
  });
});

describe("lease", () => {
  it("has no way out of final and lapsed", () => {
    for (const event of LEASE_EVENTS) for (const state of ["final", "lapsed"] as const) expect(nextLeaseState(state, event)).toBeNull();
  });
  it("reaches an end from every state", () => {
    for (const start of LEASE_STATES) {
      const seen = new Set([start]);
      const queue = [start];
      while (queue.length)
        for (const event of LEASE_EVENTS) {
          const next = nextLeaseState(queue[0]!, event);
          if (next && !seen.has(next)) {
            seen.add(next);
            queue.push(next);
          }
          if (event === LEASE_EVENTS.at(-1)) queue.shift();
          if (!queue.length) break;
        }
      expect(seen.has("final") || seen.has("lapsed")).toBe(true);
    }
  });
});

describe("claims", () => {
  const last = { id: "a", incarnation: 1, sequence: 3, usedMs: 100, egressBytes: 0 };
  it.each([
    [null, { id: "b", incarnation: 1, sequence: 4, usedMs: 200, egressBytes: 0, previous: "a" }, 500],
    [null, { id: "b", incarnation: 2, sequence: 4, usedMs: 200, egressBytes: 0, previous: "a" }, 500],
    ["claim_out_of_order", { id: "b", incarnation: 1, sequence: 5, usedMs: 200, egressBytes: 0, previous: "a" }, 500],
    ["claim_chain_broken", { id: "b", incarnation: 1, sequence: 4, usedMs: 200, egressBytes: 0, previous: "x" }, 500],
    ["claim_decreasing", { id: "b", incarnation: 1, sequence: 4, usedMs: 99, egressBytes: 0, previous: "a" }, 500],
    ["claim_too_early", { id: "b", incarnation: 1, sequence: 4, usedMs: 5000, egressBytes: 0, previous: "a" }, 500],
  ] as const)("answers %s", (code, claim, elapsed) => {
    expect(checkClaim(last, claim, elapsed)).toBe(code);
  });
});

describe("ledger", () => {
  it("applies all of a change or nothing, and once", () => {
    const ledger = new Ledger();
    ledger.apply([{ key: "source/x", floor: null }], [{ id: "1", debit: "source/x", credit: "a/available", amount: 10n }]);
    expect(
      ledger.apply(
        [],
        [
          { id: "2", debit: "a/available", credit: "b/available", amount: 4n },
          { id: "3", debit: "a/available", credit: "b/available", amount: 7n },
        ],
      ),
    ).toEqual({ code: "below_floor", key: "a/available", missing: 1n });
    expect(ledger.balance("b/available")).toBe(0n);
    ledger.apply([], [{ id: "2", debit: "a/available", credit: "b/available", amount: 4n }]);
    ledger.apply([], [{ id: "2", debit: "a/available", credit: "b/available", amount: 4n }]);
    expect(ledger.balance("a/available")).toBe(6n);
  });
});
