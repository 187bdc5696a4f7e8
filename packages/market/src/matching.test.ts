import { describe, expect, it } from "vitest";
import { DEFAULT_TIMINGS } from "./lease/timings.ts";
import { heldByAll } from "./holds.ts";
import { NEWCOMER } from "./offer.ts";
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
    holds: { wasm: ["seccomp"], qemu: ["seccomp", "own-user"] },
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
    ...NEWCOMER,
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
    ["clock", { clockIsRight: false }, {}],
    ["cooling", { coolUntil: 11 }, {}],
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

  it("asks for what holds guests of the driver that is ordered, not of others", () => {
    const conditions = [{ key: "holds", op: "=" as const, value: "own-user" }];
    const both = candidate({ drivers: ["wasm", "qemu"] });
    expect(exclusionOf(both, wish({ conditions }), 10)).toBe("holds=own-user");
    expect(exclusionOf(both, wish({ conditions, driver: "qemu" }), 10)).toBeNull();
    expect(exclusionOf({ ...both, holds: {} }, wish({ conditions, driver: "qemu" }), 10)).toBe("holds=own-user");
    expect(heldByAll(both.holds, both.drivers)).toEqual(["seccomp"]);
    expect(heldByAll(both.holds, ["qemu"])).toEqual(["own-user", "seccomp"]);
    expect(heldByAll({ wasm: ["seccomp"] }, both.drivers)).toEqual([]);
  });

  it("lets an owner onto its own closed server", () => {
    expect(exclusionOf(candidate({ allowedParties: ["p_x"] }), wish({ customer: "p_owner", on: "mine" }), 10)).toBeNull();
    expect(exclusionOf(candidate({ allowedParties: ["p_c"] }), wish(), 10)).toBeNull();
  });

  it("lets an owner order on its own server while it gets no orders of others", () => {
    expect(exclusionOf(candidate({ coolUntil: 11 }), wish({ customer: "p_owner" }), 10)).toBeNull();
    expect(exclusionOf(candidate({ coolUntil: 10 }), wish(), 10)).toBeNull();
  });

  it("lets a referee have the turn that it was drawn for, whatever it missed", () => {
    const referee = candidate({ coolUntil: 11, isReferee: true });
    expect(exclusionOf(referee, wish({ isJudging: true }), 10)).toBeNull();
    expect(exclusionOf(referee, wish(), 10)).toBe("cooling");
  });

  it("puts what costs nothing behind everything else, unless something speaks for it or it is one's own", () => {
    const nothing = { ...price, vcpuNanosPerSecond: 0n, memoryGibNanosPerSecond: 0n, diskGibNanosPerSecond: 0n };
    const free = candidate({ server: "s_0", owner: "p_free", price: nothing });
    const first = (over: Partial<Candidate>, w: Partial<Wish> = {}) =>
      match([candidate(), { ...free, ...over }], wish(w), 10).matches.map(({ server }) => server);
    expect(first({})).toEqual(["s_1", "s_0"]);
    expect(first({ isVouchedFor: true })).toEqual(["s_0", "s_1"]);
    expect(first({}, { customer: "p_free" })).toEqual(["s_0", "s_1"]);
    expect(match([free], wish(), 10).matches).toHaveLength(1);
    // and so with whoever misses more than it keeps, at any price
    expect(first({ isVouchedFor: true, missesWeigh: true })).toEqual(["s_1", "s_0"]);
    expect(first({ missesWeigh: true, price: { ...price, vcpuNanosPerSecond: 1n } })).toEqual(["s_1", "s_0"]);
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
