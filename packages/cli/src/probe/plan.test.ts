/** A probe looks like an order: in the fields it has, in what they say, in its party and in its time. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { PaperMarket, Random, SimClock } from "@xenoservers/testkit";
import { signOrder } from "@xenoservers/sdk";
import type { OfferView, Payload } from "@xenoservers/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PaperClient } from "../../../../test/support/paper-client.ts";
import { readTyped } from "../input/verb.ts";
import { quoteInput } from "../input/verbs/run.ts";
import { workOf } from "../input/work.ts";
import { planProbe, probeTimesMs, type ProbePlan } from "./plan.ts";

const PROBES = 200;
const TARGET = { labels: { region: "eu", rack: "7" }, priceNanosPerHour: "36123456", sandbox: "strong" } satisfies Partial<OfferView>;

let folder: string;
let plans: ProbePlan[];
let probes: Payload<"order">[];
let theirs: Payload<"order">;

async function orderOf(
  random: Random,
  program: { name: string; text: string },
  argv: (file: string) => string[],
): Promise<Payload<"order">> {
  const market = new PaperMarket(random);
  const client = new PaperClient(market, new SimClock(market.now, random), random.bytes(32));
  const file = path.join(folder, program.name);
  await writeFile(file, program.text);
  const { wanted, build } = await workOf(readTyped(quoteInput, argv(file)));
  const job = build({ engine: "paper-1", vmEngine: "" });
  return signOrder(client, market.info, wanted, job.jobHash).payload;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-probes-"));
  const random = new Random(5);
  theirs = await orderOf(random, { name: "job.py", text: "print(1)\n" }, (file) => [file]);
  plans = Array.from({ length: PROBES }, () => planProbe(TARGET, () => random.fraction()));
  probes = [];
  for (const plan of plans) probes.push(await orderOf(random, plan.program, (file) => [...plan.options, file, ...plan.args]));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const values = (field: keyof Payload<"order">): unknown[] => probes.map((probe) => probe[field]);
const countsOf = (all: readonly unknown[]): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const each of all) counts.set(JSON.stringify(each), (counts.get(JSON.stringify(each)) ?? 0) + 1);
  return counts;
};

/** What every order of a job says that names no option for it. */
const FIXED = [
  "batch",
  "segment",
  "judges",
  "driver",
  "accel",
  "egress",
  "egressMibMax",
  "on",
  "terms",
  "replicas",
  "seen",
  "timings",
] as const;
/** What people set now and then: most leave it out. */
const SELDOM = ["conditions", "maxPriceNanosPerHour", "durationMsMax", "fuelMax", "budgetNanos", "label", "resources"] as const;
/** Random in every order. */
const UNIQUE = ["clientId", "auditSalt", "channelKey", "party", "account", "jobHash"] as const;
const OTHER = ["origin", "assurance", "expiresAt", "feeBasisPointsMax"] as const;

describe("a probe's order", () => {
  it("has the fields of every order and no other, each spoken of here", () => {
    const fields = Object.keys(theirs).sort();
    expect([...FIXED, ...SELDOM, ...UNIQUE, ...OTHER].sort()).toEqual(fields);
    for (const probe of probes) expect(Object.keys(probe).sort()).toEqual(fields);
  });

  it.each(FIXED)("says of %s what every order says", (field) => {
    expect([...countsOf(values(field)).keys()]).toEqual([JSON.stringify(theirs[field])]);
  });

  it.each(SELDOM)("leaves %s as it is where nothing is said, mostly, and sets it now and then", (field) => {
    const counts = countsOf(values(field));
    const usual = counts.get(JSON.stringify(theirs[field])) ?? 0;
    expect(usual).toBeGreaterThan(PROBES * 0.5);
    expect(usual).toBeLessThan(PROBES * 0.95);
    expect(counts.size).toBeGreaterThan(2);
  });

  it.each(UNIQUE)("has a %s of its own", (field) => {
    expect(countsOf(values(field)).size).toBe(PROBES);
  });

  it("names no server and no owner, and says nothing that only probes say", () => {
    const keys = new Set(probes.flatMap(({ conditions }) => conditions.map(({ key }) => key)));
    expect([...keys].sort()).toEqual(["cpu", "mem", "region", "sandbox"]);
    expect(
      JSON.stringify([probes, plans.map(({ party, program, options, args }) => [party, program, options, args])]).toLowerCase(),
    ).not.toContain("probe");
    expect(countsOf(values("assurance")).size).toBe(2);
    for (const { party, account } of probes) expect(account).toBe(`a_${party.slice(2)}`);
  });

  it("is of a party with an ordinary name and credit, and of a program under an ordinary name", () => {
    expect(countsOf(plans.map(({ party }) => party)).size).toBeGreaterThan(5);
    expect(countsOf(plans.map(({ creditNanos }) => creditNanos.toString())).size).toBeGreaterThan(3);
    expect(countsOf(plans.map(({ program }) => program.name)).size).toBeGreaterThan(3);
  });
});

describe("the times of probes", () => {
  it("have no rhythm: they are anywhere in the time that was given", () => {
    const random = new Random(9);
    const within = 3_600_000;
    const times = probeTimesMs(() => random.fraction(), 1_000, within);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times.every((at) => at >= 0 && at < within)).toBe(true);
    const quarters = countsOf(times.map((at) => Math.floor((at * 4) / within)));
    for (const count of quarters.values()) expect(Math.abs(count - 250)).toBeLessThan(75);
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(countsOf(gaps).size).toBeGreaterThan(800);
  });
});
