/** What other tools for many jobs were reported for, tried on a map (ADR 98). */
import { refuse } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { RefusedError } from "../../errors.ts";
import { MapRun } from "./map-run.ts";
import { mapSettingsOf, placed, type MapOptions } from "./options.ts";
import { PaperWays } from "./paper-ways.fixture.ts";

const run = (ways: PaperWays, inputs: readonly string[], options: MapOptions = {}): MapRun<string> =>
  new MapRun(ways, inputs, (input) => placed({ budget: 10n }, input), mapSettingsOf(options));
const UNAVAILABLE = new RefusedError(refuse("unavailable"));

it("ends at once where there are no inputs (modal-client 3202)", async () => {
  expect(await run(new PaperWays(), []).all).toEqual([]);
});

it("throws what the program throws that makes a run of each, and hangs on nothing (modal-client 2939)", async () => {
  const made = (input: string) => {
    if (input === "b") throw new TypeError("no run of b");
    return placed({ budget: 10n }, input);
  };
  await expect(new MapRun(new PaperWays(), ["a", "b", "c"], made, mapSettingsOf({ parallel: 1 })).all).rejects.toThrow("no run of b");
});

it("runs each of two equal inputs, with an output for each (dask/distributed 2015)", async () => {
  const ways = new PaperWays();
  const all = await run(ways, ["1", "2", "2", "3"]).all;
  expect([ways.ordered, all.map(({ result }) => result?.stdout)]).toEqual([
    ["1", "2", "2", "3"],
    ["1\n", "2\n", "2\n", "3\n"],
  ]);
});

it("does not run again a program that crashed by itself, however many retries there are (ray 2635)", async () => {
  const ways = new PaperWays();
  ways.comesTo = () => ({ exitCode: 139 });
  expect((await run(ways, ["a"], { retries: 3 }).all).map(({ ok }) => ok)).toEqual([false]);
  expect(ways.ordered).toEqual(["a"]);
});

it("goes on by what was signed, not by what was begun: what a server failed runs again, what failed by itself does not (ClawBench 297)", async () => {
  const ways = new PaperWays();
  ways.comesTo = (work) => (work === "a" ? { reason: "server-failed" } : work === "b" ? { exitCode: 1 } : {});
  await run(ways, ["a", "b", "c"], { resume: "n" }).all;
  ways.comesTo = () => ({});
  expect((await run(ways, ["a", "b", "c"], { resume: "n" }).all).map(({ ok }) => ok)).toEqual([true, false, true]);
  expect(ways.ordered).toEqual(["a", "b", "c", "a"]);
});

it("lets an input after one that trapped in its lease come once, with nothing of those before it (ray 47162)", async () => {
  const ways = new PaperWays();
  ways.kind = "k";
  let cut = false;
  ways.cuts = (works) => (cut || works.length < 2 ? null : ((cut = true), { done: 1, reason: "fuel-limit" }));
  const inputs = ["0", "1", "2", "3", "4"];
  expect((await run(ways, inputs, { parallel: 1 }).all).map(({ result }) => result?.stdout)).toEqual(inputs.map((each) => `${each}\n`));
});

it("waits for a broker that is away for a while, and fails no input for it; one that was never there fails at once", async () => {
  const ways = new PaperWays();
  let left = 30;
  ways.breaks = () => (left-- > 0 ? UNAVAILABLE : null);
  expect((await run(ways, ["a", "b", "c"], { parallel: 1 }).all).map(({ ok }) => ok)).toEqual([true, true, true]);
  expect([ways.warned.length, ways.now()]).toEqual([1, 30_000]);

  const gone = new PaperWays();
  gone.plan = async () => Promise.reject(UNAVAILABLE);
  expect((await run(gone, ["a"]).all).map(({ ok }) => ok)).toEqual([false]);
  expect(gone.now()).toBe(0);
});

it("waits for one that is away when a long run ends, and again when the next one does", async () => {
  const ways = new PaperWays();
  const refused = new Set<string>();
  ways.breaks = (work) => {
    if (work === "a" || refused.has(work)) return null;
    refused.add(work);
    void ways.sleep(1_800_000); // the run before it took so long
    return UNAVAILABLE;
  };
  expect((await run(ways, ["a", "b", "c"], { parallel: 1 }).all).map(({ ok }) => ok)).toEqual([true, true, true]);
  expect(ways.warned).toHaveLength(2);
});

it("gives up a broker that does not come back, in ten minutes", async () => {
  const ways = new PaperWays();
  ways.breaks = (work) => (work === "a" ? null : UNAVAILABLE);
  expect((await run(ways, ["a", "b"], { parallel: 1 }).all).map(({ ok }) => ok)).toEqual([true, false]);
  expect(ways.now()).toBeGreaterThanOrEqual(600_000);
});
