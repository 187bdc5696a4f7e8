/** Servers of one price and orders that wait for them. */
import { DEFAULT_TIMINGS } from "./lease/timings.ts";
import type { Candidate, Wish } from "./matching.ts";
import { NEWCOMER } from "./offer.ts";
import type { WaitingOrder } from "./waiting.ts";

const price = { vcpuNanosPerSecond: 1n, memoryGibNanosPerSecond: 0n, diskGibNanosPerSecond: 0n, gigaFuelNanos: 1n, egressGibNanos: 0n };
export const size = (vcpu: number) => ({ vcpu, memoryMib: vcpu, diskMib: 0 });
export const candidate = (free: number, over: Partial<Candidate> = {}): Candidate => ({
  ...{ offerId: "o", owner: "p_owner", server: "s_1", resources: size(8), free: size(free), price, drivers: ["wasm"] },
  ...{ assurances: ["isolated"], labels: {}, sandbox: "strong", engine: "e", vmEngine: "", accel: "none", vmScore: 0, limits: "process" },
  ...{ holds: {}, egress: "none", fetches: false, cpuScore: 1, validUntil: 1e15, maxLeaseMs: 1e9, feeBasisPointsMax: 0 },
  ...{ timings: DEFAULT_TIMINGS, online: true, ...NEWCOMER, suspended: false, isReferee: false, allowedParties: [] },
  ...over,
});
export const wish = (customer: string, vcpu: number): Wish => ({
  ...{ customer, isJudging: false, resources: size(vcpu), driver: "wasm", accel: "any", egress: "none", assurance: "isolated" },
  ...{ terms: "by-interval", conditions: [], on: "market", maxPriceNanosPerHour: null, durationMs: 1 },
});
export const waits = (id: string, customer: string, since: number, vcpu = 1): WaitingOrder => ({
  ...{ id, customer, since, until: 1e12, wish: wish(customer, vcpu) },
  ...{ tried: [], isWhole: true },
});
