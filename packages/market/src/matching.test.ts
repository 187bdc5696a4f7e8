import { describe, expect, it } from "vitest";
import { DEFAULT_TIMINGS } from "./lease/timings.ts";
import { explainExclusions, exclusionOf, match, type Candidate, type Wish } from "./matching.ts";

const price = {
  vcpuNanosPerSecond: 10_000n,
  memoryGibNanosPerSecond: 1_000n,
  diskGibNanosPerSecond: 10n,
  gigaFuelNanos: 600n,
  egressGibNanos: 0n,
};
const candidate = (over: Partial<Candidate> = {}): Candidate => ({
  ...{ offerId: "o", owner: "p_owner", server: "s_1", resources: { vcpu: 4, memoryMib: 8192, diskMib: 10_000 } },
  ...{ free: { vcpu: 4, memoryMib: 8192, diskMib: 10_000 }, price, drivers: ["wasm"], assurances: ["isolated"], labels: { region: "eu" } },
  ...{
    sandbox: "strong",
    engine: "e",
    vmEngine: "",
    accel: "none",
    vmScore: 0,
    limits: "process",
    egress: "none",
    fetches: false,
    cpuScore: 100,
  },
  ...{
    validUntil: 1e15,
    maxLeaseMs: 1e9,
    feeBasisPointsMax: 0,
    timings: DEFAULT_TIMINGS,
    online: true,
    suspended: false,
    isReferee: false,
    allowedParties: [],
  },
  ...over,
});
const wish = (over: Partial<Wish> = {}): Wish => ({
  ...{
    customer: "p_c",
    isJudging: false,
    resources: { vcpu: 1, memoryMib: 512, diskMib: 1024 },
    driver: "wasm",
    accel: "any",
    egress: "none",
    terms: "by-interval",
  },
  ...{ assurance: "isolated", conditions: [], on: "market", maxPriceNanosPerHour: null, durationMs: 1000 },
  ...over,
});

describe("matching", () => {
  const excluded: [string, Partial<Candidate>, Partial<Wish>][] = [
    ["offline", { online: false }, {}],
    ["expired", { validUntil: 5 }, {}],
    ["suspended", { suspended: true }, {}],
    ["not-yours", {}, { on: "mine" }],
    ["not-allowed", { allowedParties: ["p_x"] }, {}],
    ["driver", {}, { driver: "qemu" }],
    ["emulated", { drivers: ["qemu"], accel: "emulated" }, { driver: "qemu", accel: "kvm" }],
    ["egress", { drivers: ["qemu"], egress: "names" }, { driver: "qemu", egress: "public" }],
    ["assurance", {}, { assurance: "attested" }],
    ["duration", { maxLeaseMs: 10 }, {}],
    ["region=us", {}, { conditions: [{ key: "region", op: "=", value: "us" }] }],
    ["max-price", {}, { maxPriceNanosPerHour: 1n }],
    ["capacity", { free: { vcpu: 0, memoryMib: 1, diskMib: 1 } }, {}],
  ];
  it.each(excluded)("names %s", (why, c, w) => {
    expect(exclusionOf(candidate(c), wish(w), 10)).toBe(why);
  });

  it("lets an owner onto its own closed server", () => {
    expect(exclusionOf(candidate({ allowedParties: ["p_x"] }), wish({ customer: "p_owner", on: "mine" }), 10)).toBeNull();
    expect(exclusionOf(candidate({ allowedParties: ["p_c"] }), wish(), 10)).toBeNull();
  });

  it("sorts by price, or by price for the work, and explains an empty answer", () => {
    const cheap = candidate({ server: "s_2", price: { ...price, vcpuNanosPerSecond: 1n } });
    const fast = candidate({ server: "s_3", cpuScore: 10_000 });
    expect(match([candidate(), cheap], wish(), 10).matches.map((m) => m.server)).toEqual(["s_2", "s_1"]);
    expect(match([candidate(), fast, cheap], wish(), 10, "cost-per-work").matches.map((m) => m.server)).toEqual(["s_3", "s_2", "s_1"]);
    expect(explainExclusions(match([candidate({ online: false })], wish(), 10).excluded)).toBe("offline excluded 1");
    expect(explainExclusions({})).toContain("no server");
  });
});
