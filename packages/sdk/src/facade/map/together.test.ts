/** Several inputs of a map as one lease, on a market of paper: which are one, what each costs, and what becomes of those left undone. */
import { END_REASONS } from "@xenoservers/market";
import { RefusedError } from "../../errors.ts";
import { refuse } from "@xenoservers/protocol";
import { describe, expect, it } from "vitest";
import type { JobResult } from "../job-result.ts";
import { MapRun } from "./map-run.ts";
import { mapSettingsOf, placed, type MapOptions, type Mapped } from "./options.ts";
import { Pace } from "./pace.ts";
import { PaperWays, resultOf } from "./paper-ways.fixture.ts";
import { billsOf } from "./parts.ts";
import { stateOf } from "./run-state.ts";
import { ApartError } from "./ways.ts";

const run = (ways: PaperWays, inputs: readonly (string | number)[], options: MapOptions = {}): MapRun<string | number> =>
  new MapRun(ways, inputs, (input) => placed({ budget: 1_000n }, input), mapSettingsOf(options));
const words = (all: readonly Mapped<unknown>[]): string[] => all.map(({ ok, result }) => `${ok ? "" : "!"}${result?.stdout.trim() ?? "-"}`);
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const joined = (): PaperWays => Object.assign(new PaperWays(), { kind: "k" });
const sum = (all: readonly Mapped<unknown>[]): bigint => all.reduce((total, { result }) => total + (result?.bill.dueNanos ?? 0n), 0n);

describe("inputs that are one lease", () => {
  it("follow the first, which shows how long one takes; each has its own words, end and part of the cost", async () => {
    const ways = joined();
    ways.comesTo = (work) => ({ exitCode: work === "5" ? 3 : 0, dueNanos: BigInt(work) + 1n });
    const all = await run(ways, numbers(20), { parallel: 1 }).all;
    expect(words(all)).toEqual(numbers(20).map((i) => `${i === 5 ? "!" : ""}${i}`));
    expect(ways.together).toEqual([numbers(20).slice(1).map(String)]);
    expect(all.map(({ result }) => result?.bill.dueNanos)).toEqual(numbers(20).map((i) => BigInt(i) + 1n));
    expect(all.map(({ result }) => result?.exitCode)).toEqual(numbers(20).map((i) => (i === 5 ? 3 : 0)));
    expect(all.map(({ result }) => result?.run?.index ?? null)).toEqual([null, ...numbers(19)]);
    expect(new Set(all.map(({ result }) => result?.lease)).size).toBe(2);
  });

  it("keep every place busy: none takes what another could begin", async () => {
    const ways = joined();
    await run(ways, numbers(102), { parallel: 2 }).all;
    expect(ways.together.length).toBeGreaterThanOrEqual(2);
    expect(Math.max(...ways.together.map(({ length }) => length))).toBeLessThanOrEqual(51);
    expect(ways.atOnceMax).toBe(2);
  });

  it("are of one kind, and are those that nothing is known of", async () => {
    const ways = joined();
    const { plan } = ways;
    ways.plan = async (input) => {
      ways.kind = input.args?.[0] === "b" ? "other" : "k";
      return plan(input);
    };
    ways.earlier = (work) => (work === "d" ? resultOf("earlier", work, "completed", 0, 0n) : null);
    await run(ways, ["a", "b", "c", "d", "e", "f", "g"], { parallel: 1, reuse: true }).all;
    expect(ways.together).toEqual([["e", "f", "g"]]);
    expect(ways.ordered).toEqual(["a", "b", "c", "e", "f", "g"]);
  });

  it("are none where the first failure ends all", async () => {
    const ways = joined();
    await run(ways, numbers(10), { parallel: 1, failures: "raise" }).all;
    expect(ways.together).toEqual([]);
  });

  it("are held for once, and as much as one may cost", async () => {
    const ways = joined();
    const all = await run(ways, numbers(30), { parallel: 1, budget: 1_030n }).all;
    expect(all.every(({ ok }) => ok)).toBe(true);
    expect(ways.heldMaxNanos).toBeLessThanOrEqual(1_000n);
    expect(sum(all)).toBe(30n);
  });

  it("are named where the budget does not pay for them", async () => {
    const ways = joined();
    ways.comesTo = () => ({ dueNanos: 30n });
    const all = await run(ways, numbers(10), { parallel: 1, budget: 1_020n }).all;
    expect(words(all)).toEqual(["0", ...numbers(9).map(() => "!-")]);
    expect(all[9]).toMatchObject({ error: { code: "left_undone" } });
  });

  it("are ordered one by one where no server takes several", async () => {
    const ways = joined();
    let asked = 0;
    ways.orderTogether = () => Promise.reject(new ApartError(`none, ${++asked}`));
    expect(words(await run(ways, numbers(200), { parallel: 1 }).all)).toEqual(numbers(200).map(String));
    expect([ways.atOnceMax, ways.ordered.length, asked]).toEqual([1, 200, 1]);
  });
});

describe("what a lease of several leaves undone", () => {
  it("is ordered anew, by itself where it was the one that met the limit, and costs no try", async () => {
    const ways = joined();
    ways.cuts = (works) => (works.includes("4") ? { done: works.indexOf("4"), reason: "fuel-limit" } : null);
    const all = await run(ways, numbers(9), { parallel: 1 }).all;
    expect(words(all)).toEqual(numbers(9).map(String));
    expect(ways.together).toEqual([
      ["1", "2", "3", "4", "5", "6", "7", "8"],
      ["5", "6", "7", "8"],
    ]);
    expect(ways.ordered.filter((each) => each === "4")).toHaveLength(2);
    expect(all[4]?.result?.run).toBeUndefined();
    expect(ways.atOnceMax).toBe(1);
  });

  it("is run by itself where it was the first: alone it may use more", async () => {
    const ways = joined();
    ways.cuts = (works) => (works[0] === "1" ? { done: 0, reason: "fuel-limit" } : null);
    expect(words(await run(ways, numbers(5), { parallel: 1 }).all)).toEqual(numbers(5).map(String));
    expect(ways.together).toEqual([
      ["1", "2", "3", "4"],
      ["2", "3", "4"],
    ]);
  });

  it("is run one by one where nobody knows what was done", async () => {
    const ways = joined();
    ways.cuts = () => ({ done: null, reason: "output-limit" });
    expect(words(await run(ways, numbers(5), { parallel: 1 }).all)).toEqual(numbers(5).map(String));
    expect([ways.together.length, ways.atOnceMax]).toEqual([1, 1]);
  });

  it("follows the rules of another try where the server failed", async () => {
    for (const retries of [0, 1]) {
      const ways = joined();
      let failed = 0;
      ways.cuts = () => (failed++ === 0 ? { done: null, reason: "server-failed" } : null);
      const all = await run(ways, numbers(5), { parallel: 1, retries }).all;
      expect(words(all)).toEqual(retries === 1 ? numbers(5).map(String) : ["0", "!", "!", "!", "!"]);
      expect(ways.together).toHaveLength(retries + 1);
    }
  });

  it("is refused together, and is said for each", async () => {
    const ways = joined();
    ways.breaks = (work) => (work.includes("+") ? new RefusedError(refuse("insufficient_funds")) : null);
    const all = await run(ways, numbers(4), { parallel: 1, hold: "each" }).all;
    expect(all.map((each) => (each.ok ? null : (each.error as RefusedError).code))).toEqual([
      null,
      ...numbers(3).map(() => "insufficient_funds"),
    ]);
  });

  it("has a rule for every end, and never goes on for ever", () => {
    for (const reason of END_REASONS)
      for (const done of [null, 0, 1, 2, 3]) {
        const states = numbers(3).map((index) => stateOf(index, done, reason));
        expect(states.filter((state) => state === "done")).toHaveLength(done ?? 0);
        // one less is left for a lease of several than there was
        expect(states.filter((state) => state === "anew").length).toBeLessThan(3);
      }
  });
});

describe("a map with a name, of inputs that are one lease", () => {
  const named = { resume: "n", parallel: 1 };

  it("is gone on with from every moment in which a program can be killed, without a job that is paid twice", async () => {
    const inputs = ["a", "b", "c", "d", "e"];
    for (const part of [0, 0.5, 0.99])
      for (let moment = 0; moment < 24; moment++) {
        const ways = joined();
        const { place } = ways;
        const { write, append, writeResult } = place;
        let writes = 0;
        const unlessDead = async (text: string, doing: (text: string) => Promise<void>): Promise<void> => {
          if (writes < moment) await doing(text);
          else if (writes === moment && doing === append) place.text += text.slice(0, text.length * part);
          if (writes++ >= moment) throw new Error("killed");
        };
        place.write = (text) => unlessDead(text, write);
        place.append = (text) => unlessDead(text, append);
        place.writeResult = (key, text) => unlessDead(text, () => writeResult(key, text));
        await run(ways, inputs, named).all.catch(() => {});
        Object.assign(place, { write, append, writeResult });
        for (const [order, { runs }] of ways.leases) if (runs) ways.endAll(order);
        const why = `moment ${moment}, part ${part}`;
        const all = await run(ways, inputs, named).all;
        expect(words(all), why).toEqual(inputs);
        expect(ways.ordered.toSorted(), why).toEqual(inputs);
        expect(sum(all), why).toBe(BigInt(inputs.length));
      }
  });

  it("orders those together again whose order was signed and never sent", async () => {
    const ways = joined();
    ways.breaks = (work) => (work.includes("+") ? new Error("killed before it was sent") : null);
    await run(ways, numbers(20), { ...named, budget: 1_020n }).all.catch(() => {});
    expect(ways.place.text).toContain('"run":18');
    ways.breaks = null;
    expect(words(await run(ways, numbers(20), { ...named, budget: 1_020n }).all)).toEqual(numbers(20).map(String));
    expect(ways.together.flat()).toEqual(numbers(20).slice(2).map(String));
  });

  it("orders nothing again, wherever an input stands, and says which run of which lease it was", async () => {
    const ways = joined();
    const first = await run(ways, ["a", "b", "c", "d"], named).all;
    const again = await run(ways, ["d", "new", "b", "a", "c"], named).all;
    expect(words(again)).toEqual(["d", "new", "b", "a", "c"]);
    expect(ways.ordered.toSorted()).toEqual(["a", "b", "c", "d", "new"]);
    const placeOf = (result: JobResult | null | undefined) => [result?.lease, result?.run?.index];
    expect([again[0], again[2], again[4]].map((each) => placeOf(each?.result))).toEqual([3, 1, 2].map((i) => placeOf(first[i]?.result)));
  });

  it("that is called off lets the lease run on, and goes on with all that it serves", async () => {
    const ways = joined();
    ways.comesTo = (work) => (work === "a" ? {} : null);
    const off = new AbortController();
    const results = run(ways, ["a", "b", "c"], { ...named, signal: off.signal })[Symbol.asyncIterator]();
    await results.next();
    const next = results.next();
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    off.abort();
    await expect(next).rejects.toMatchObject({ code: "left_undone" });
    ways.comesTo = () => ({});
    for (const [order, { runs }] of ways.leases) if (runs) ways.endAll(order);
    expect(words(await run(ways, ["a", "b", "c"], named).all)).toEqual(["a", "b", "c"]);
    expect(ways.ordered).toEqual(["a", "b", "c"]);
  });
});

describe("the bill of a lease of several", () => {
  const end = (fuel: number) => ({
    ...{ ending: "exit" as const, exitCode: 0, fuel: String(fuel), memoryHash: null },
    ...{ stdoutBytes: 0, stdoutDigest: "", stderrBytes: 0, stderrDigest: "" },
  });
  const bill = { dueNanos: 101n, ownerNanos: 99n, feeNanos: 2n, refundNanos: 7n, billableFuel: 100n, billableMs: 10 };

  it("is divided by what each used, to the last nano; what was under way when it ended pays for the rest", () => {
    const bills = billsOf(bill, [end(10), end(20)], 4);
    expect(bills.map(({ billableFuel }) => billableFuel)).toEqual([10n, 20n, 70n, 0n]);
    for (const key of ["dueNanos", "ownerNanos", "feeNanos", "refundNanos"] as const)
      expect(bills.reduce((total, each) => total + each[key], 0n)).toBe(bill[key]);
    expect(billsOf({ ...bill, billableFuel: 0n }, [], 2)[0]?.dueNanos).toBe(101n);
  });
});

describe("how many are one lease", () => {
  const limits = { ms: 3_600_000, fuel: 10n ** 13n, costNanos: 10n ** 9n };
  const paced = (ms: number, fuel = BigInt(ms) * 10n ** 7n, costNanos = 10n): Pace => {
    const pace = new Pace();
    pace.learn({ jobs: 1, ms, fuel, costNanos });
    return pace;
  };

  it.each([
    ["nothing is known", new Pace(), 100, 2, limits, 1],
    ["short jobs", paced(5), 1_000, 2, limits, 64],
    ["jobs of a tenth of a second", paced(100), 1_000, 2, limits, 15],
    ["short jobs on a machine that does much else", paced(1_600, 10n ** 6n), 1_000, 2, limits, 64],
    ["long jobs", paced(1_600), 1_000, 2, limits, 1],
    ["few that are left", paced(100), 6, 2, limits, 2],
    ["short ones that are left", paced(5), 40, 2, limits, 20],
    ["a limit of fuel that is near", paced(5, 10n ** 12n), 1_000, 2, limits, 2],
    ["a budget that is near", paced(5, 1n, 10n ** 8n), 1_000, 2, limits, 2],
    ["a limit of time that is near", paced(5), 1_000, 2, { ...limits, ms: 100 }, 5],
  ])("%s", (_what, pace, left, parallel, within, size) => {
    expect(pace.size(left, parallel, within)).toBe(size);
  });

  it("may use sixteen times as much as such jobs used, a second at least, and never more than one may", () => {
    expect(paced(1_000).fuelMax(3, limits)).toBe(48n * 10n ** 10n);
    expect(paced(1).fuelMax(3, limits)).toBe(10n ** 10n);
    expect(paced(1_000).fuelMax(64, { fuel: 10n ** 11n })).toBe(10n ** 11n);
    expect(new Pace().fuelMax(2, limits)).toBe(limits.fuel);
  });
});
