/** One case as its seed draws it: the job, the way it shall end, money, terms, times, what goes wrong on the way, and how it is doubted. */
import { DEFAULT_TIMINGS, type LeaseTimings, type PaymentTerms } from "@xenoservers/market";
import { Rng } from "../../packages/verify/src/testing/rng.ts";
import { FUEL_MAX, FUEL_SEEN, jobOf, run, withFuel, type Came, type CourtJob, type CourtModule } from "./jobs.ts";
import type { ModuleEnd } from "./modules.ts";

export const ENDS = [
  ...(["completed", "exit-code", "trap", "fuel-limit", "budget", "memory-limit", "output-limit", "module-malformed"] as const),
  ...(["customer-stop", "owner-stop", "time-limit", "server-failed"] as const),
] as const;
export type End = (typeof ENDS)[number];

/** Between what a case may be interrupted, in order. */
export const PHASES = [
  "order",
  "acceptance",
  "run",
  "commitment",
  "result",
  "delivery",
  "doubt",
  "referee",
  "trace",
  "dispute",
  "appeal",
] as const;
export type Phase = (typeof PHASES)[number];

export type Doubt = "none" | "objection" | "whole" | "segment";
const DOUBTS: readonly Doubt[] = ["none", "none", "objection", "objection", "whole", "segment", "segment"];

/** Who may fall silent, and where. */
export const SILENCES = ["acceptance", "claim", "commitment", "result", "delivery", "referee", "trace", "dispute", "ruling"] as const;
export type Silence = (typeof SILENCES)[number];

/** What may be wrong with the first referee that runs: it does not accept, does not answer, fails as a host, is dismissed, or lies. */
export const TROUBLES = ["absent", "silent", "broken", "dismissed", "liar"] as const;
export type Trouble = (typeof TROUBLES)[number];

export interface ServerPlan {
  gigaFuelNanos: bigint;
  vcpuNanosPerSecond: bigint;
}

export interface Plan {
  seed: number;
  end: End;
  job: CourtJob;
  terms: PaymentTerms;
  assurance: "isolated" | "replicated";
  replicas: number;
  servers: readonly ServerPlan[];
  durationMsMax: number;
  budgetNanos: bigint;
  feeBasisPoints: number;
  timings: LeaseTimings;
  /** From the opening until the job's bytes are there, and from there until it ends. */
  bytesMs: number;
  runMs: number;
  /** Of a run that is stopped from outside: what it has used by then. */
  stoppedFuel: bigint;
  doubt: Doubt;
  /** Of a trace: into so many parts, of which the customer doubts this one. */
  parts: number;
  part: number;
  /** Of what is due, in percent: what an objector thinks right. */
  expectedPercent: number;
  silence: { at: Silence; isLate: boolean } | null;
  trouble: Trouble | null;
  /** Whoever is rightly convicted has a second referee run it all the same. */
  appealsInVain: boolean;
  /** How long no broker is there. */
  gaps: ReadonlyMap<Phase, number>;
  restarts: ReadonlySet<Phase>;
  isSaidTwice: boolean;
  losesDisk: boolean;
  /** The customer takes the bytes and does not say so: they are sealed. */
  isSealed: boolean;
}

const MODULE_OF: Readonly<Record<End, readonly ModuleEnd[]>> = {
  completed: ["by itself"],
  "exit-code": ["exit code"],
  trap: ["trap"],
  "fuel-limit": ["by itself", "never", "output"],
  budget: ["by itself", "never", "exit code"],
  "memory-limit": ["memory"],
  "output-limit": ["output"],
  "module-malformed": ["malformed"],
  "customer-stop": ["never"],
  "owner-stop": ["never"],
  "time-limit": ["never"],
  "server-failed": ["by itself", "never"],
};

const among = (rng: Rng, least: bigint, most: bigint): bigint => (most <= least ? least : least + BigInt(rng.below(Number(most - least))));

interface Work {
  job: CourtJob;
  /** What it comes to under its own limit, as far as the court looks. */
  natural: Came;
}

function workOf(rng: Rng, end: End, modules: readonly CourtModule[]): Work {
  const fitting = modules.filter(({ ends }) => MODULE_OF[end].includes(ends));
  const job = jobOf(rng.pick(fitting), rng, FUEL_MAX);
  const natural = run(job, FUEL_SEEN);
  if (end !== "fuel-limit") return { job, natural };
  return { job: withFuel(job, 1n + among(rng, natural.fuel / 10n, natural.fuel - 1n)), natural };
}

const LEAST_FUEL = 5n;

/** What the money allows: more than the job needs, or less where it shall end by its budget. */
function budgetFor(rng: Rng, plan: Pick<Plan, "end" | "terms" | "replicas" | "servers" | "durationMsMax">, natural: Came): bigint {
  const { end, terms, replicas, servers, durationMsMax } = plan;
  const most = (price: (server: ServerPlan) => bigint): bigint => servers.map(price).reduce((a, b) => (a > b ? a : b));
  const giga = most(({ gigaFuelNanos }) => gigaFuelNanos);
  const needed =
    terms === "on-result"
      ? (giga * (natural.fuel + 1n)) / 1_000_000_000n + 1n
      : (most(({ vcpuNanosPerSecond }) => vcpuNanosPerSecond) * BigInt(durationMsMax)) / 1_000n + 1n;
  // a budget that pays for no work at all is refused with the order
  const least = (giga * LEAST_FUEL) / 1_000_000_000n + 1n;
  const share = end === "budget" ? (needed * BigInt(rng.between(15, 85))) / 100n + 1n : needed * BigInt(rng.between(3, 9));
  return (share > least ? share : least) * BigInt(replicas);
}

function timingsFor(rng: Rng): LeaseTimings {
  return {
    ...DEFAULT_TIMINGS,
    acceptWithinMs: rng.between(2_000, 8_000),
    startWithinMs: rng.between(5_000, 30_000),
    claimIntervalMs: rng.between(2_000, 10_000),
    graceMs: rng.between(6_000, 20_000),
    deliverWithinMs: rng.between(10_000, 40_000),
    disputeWindowMs: rng.between(20_000, 90_000),
    ruleWithinMs: rng.between(60_000, 300_000),
  };
}

const sometimes = <T>(rng: Rng, probability: number, all: readonly T[]): T[] => all.filter(() => rng.chance(probability));

function troubles(
  rng: Rng,
): Pick<Plan, "silence" | "trouble" | "appealsInVain" | "gaps" | "restarts" | "isSaidTwice" | "losesDisk" | "isSealed"> {
  return {
    silence: rng.chance(0.3) ? { at: rng.pick(SILENCES), isLate: rng.chance(0.5) } : null,
    trouble: rng.chance(0.5) ? rng.pick(TROUBLES) : null,
    appealsInVain: rng.chance(0.3),
    gaps: new Map(rng.chance(0.3) ? sometimes(rng, 0.2, PHASES).map((phase) => [phase, rng.between(5_000, 60_000)] as const) : []),
    restarts: new Set(rng.chance(0.3) ? sometimes(rng, 0.3, PHASES) : []),
    isSaidTwice: rng.chance(0.15),
    losesDisk: rng.chance(0.3),
    isSealed: rng.chance(0.2),
  };
}

/** The same case, in which nobody falls silent and every referee is honest. */
export const withoutTrouble = (plan: Plan): Plan => ({ ...plan, silence: null, trouble: null });

/** The same seed draws the same case, under other terms where these are said. */
export function planOf(seed: number, modules: readonly CourtModule[], over: Partial<Pick<Plan, "terms">> = {}): Plan {
  const rng = new Rng(seed);
  const end = ENDS[seed % ENDS.length] ?? "completed";
  const { job, natural } = workOf(rng, end, modules);
  const assurance = rng.chance(0.6) ? "replicated" : "isolated";
  const drawn = rng.chance(0.7) ? "on-result" : "by-interval";
  const terms: PaymentTerms = over.terms ?? drawn;
  const replicas = assurance === "replicated" && terms === "on-result" && rng.chance(0.5) ? rng.between(2, 3) : 1;
  const [fuelPrice, timePrice] = [rng.between(2, 300), rng.between(1_000, 999_999)];
  const about = (price: number): bigint => BigInt(Math.ceil((price * rng.between(70, 130)) / 100));
  const servers = Array.from({ length: replicas + 1 }, () => ({
    gigaFuelNanos: about(fuelPrice) * 1_000_000_000n,
    vcpuNanosPerSecond: about(timePrice),
  }));
  // a limit of time is met, or far away
  const isShort = end === "time-limit" || (end === "budget" && terms === "by-interval");
  const durationMsMax = isShort ? rng.between(500, 30_000) : rng.between(60_000, 300_000);
  const most = { end, terms, replicas, servers, durationMsMax };
  return {
    ...{ seed, job, assurance, ...most, budgetNanos: budgetFor(rng, most, natural) },
    feeBasisPoints: rng.chance(0.7) ? rng.between(1, 1_000) : 0,
    timings: timingsFor(rng),
    bytesMs: rng.chance(0.5) ? 0 : rng.between(1, 3_000),
    runMs: rng.chance(0.7) ? rng.between(1, 4_000) : rng.between(4_000, 40_000),
    stoppedFuel: 1n + among(rng, 100n, FUEL_SEEN / 4n),
    doubt: rng.pick(DOUBTS),
    parts: rng.between(1, 6),
    part: rng.between(1, 7),
    expectedPercent: rng.between(0, 99),
    ...troubles(rng),
  };
}
