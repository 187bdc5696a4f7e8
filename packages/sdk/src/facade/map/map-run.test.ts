/** Many jobs as one, on a market of paper: order, bounds, failures, other tries, and what earlier receipts prove. */
import { describe, expect, it } from "vitest";
import { InputError, NotStartedError, RefusedError } from "../../errors.ts";
import { refuse } from "@xenoservers/protocol";
import { quiet, run, words } from "./map-run.fixture.ts";
import { MapRun } from "./map-run.ts";
import { mapSettingsOf, placed, type MapOptions, type MapProgress } from "./options.ts";
import { PaperWays, resultOf } from "./paper-ways.fixture.ts";

describe("a map", () => {
  it("gives results in the order of the inputs, so many at once, whichever ends first", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const { all } = run(ways, ["a", "b", "c", "d", "e"], { parallel: 2 });
    const ends: string[] = [];
    while (ends.length < 5) {
      await quiet();
      const [order] = [...ways.leases.keys()].filter((each) => !ends.includes(each)).toReversed();
      ends.push(order!);
      ways.end(order!, {});
    }
    expect(words(await all)).toEqual(["a", "b", "c", "d", "e"]);
    expect(ways.atOnceMax).toBe(2);
  });

  it("orders the next while receipts of those that have ended are checked, of three times as many as run at once", async () => {
    const ways = new PaperWays();
    const checked = Promise.withResolvers<void>();
    ways.checks = () => checked.promise;
    const { all } = run(ways, ["a", "b", "c", "d", "e", "f", "g", "h"], { parallel: 2 });
    await quiet();
    expect(ways.ordered).toEqual(["a", "b", "c", "d", "e", "f"]);
    checked.resolve();
    expect(words(await all)).toEqual(["a", "b", "c", "d", "e", "f", "g", "h"]);
  });

  it("orders nothing beside a job that may be tried again, nor ahead of one whose failure is to end all", async () => {
    for (const options of [{ retries: 1 }, { failures: "raise" }] as const) {
      const ways = new PaperWays();
      ways.comesTo = () => ({ reason: "server-failed" });
      ways.checks = () => new Promise(() => {});
      void run(ways, ["a", "b", "c"], { parallel: 1, ...options }).all.catch(() => {});
      await quiet();
      expect(ways.ordered).toEqual(["a"]);
    }
  });

  it("begins nothing that nobody reads, and is read once", async () => {
    const ways = new PaperWays();
    const unread = run(ways, ["a"]);
    await quiet();
    expect(ways.ordered).toEqual([]);
    await unread.all;
    expect(() => unread[Symbol.asyncIterator]()).toThrow(/read once/);
  });

  it("orders no more ahead of its reader than it holds", async () => {
    const ways = new PaperWays();
    const results = run(
      ways,
      Array.from({ length: 400 }, (_, i) => i),
    )[Symbol.asyncIterator]();
    await results.next();
    await quiet();
    expect(ways.ordered.length).toBeLessThanOrEqual(257);
    await results.return();
  });

  it("returns failures among the results, and tells how far it is", async () => {
    const ways = new PaperWays();
    ways.comesTo = (work) => ({ exitCode: work === "b" ? 3 : 0 });
    const told: MapProgress[] = [];
    const all = await run(ways, ["a", "b", "c"], { onProgress: (progress) => told.push(progress) }).all;
    expect(words(all)).toEqual(["a", "!b", "c"]);
    expect(all[1]).toMatchObject({ error: { code: "job_failed", message: expect.stringContaining("exit code 3") as string } });
    expect(told.at(-1)).toMatchObject({ all: 3, done: 3, failed: 1, running: 0, costNanos: 3n, estimateNanos: 3n });
  });

  it("raises the first failure where that is wanted, and stops the rest", async () => {
    const ways = new PaperWays();
    ways.comesTo = (work) => (work === "b" ? { exitCode: 1 } : null);
    await expect(run(ways, ["a", "b", "c", "d"], { failures: "raise", parallel: 2 }).all).rejects.toMatchObject({ code: "job_failed" });
    expect(ways.ordered).toEqual(["a", "b"]);
    const [first] = ways.leases.values();
    expect((await first!.end.promise).end.reason).toBe("customer-stop");
  });

  it("ends with what is no job's fault", async () => {
    const ways = new PaperWays();
    ways.openBatch = () => Promise.reject(new RefusedError(refuse("insufficient_funds")));
    await expect(run(ways, ["a", "b"], { budget: 100n }).all).rejects.toMatchObject({ code: "insufficient_funds" });
    const wrong = new MapRun(new PaperWays(), ["a"], () => Object.assign(null as never), mapSettingsOf({}));
    await expect(wrong.all).rejects.toBeInstanceOf(TypeError);
  });

  it("refuses what it does not know, or cannot do", () => {
    expect(() => mapSettingsOf({ paralel: 2 } as MapOptions)).toThrow("'paralel' is nothing that a map takes");
    for (const parallel of [0, 257, 1.5]) expect(() => mapSettingsOf({ parallel })).toThrow(/parallel/);
    for (const resume of ["", ".", "../x", "a/b", "x".repeat(65)]) expect(() => mapSettingsOf({ resume })).toThrow(/resume/);
    expect(() => mapSettingsOf({ budget: 0n })).toThrow(/budget/);
    expect(() => mapSettingsOf({ hold: "none" as "each" })).toThrow(/hold/);
    expect(() => placed({}, {})).toThrow(/texts or numbers/);
    expect(placed({ args: ["-x", "{}={}"] }, 3).args).toEqual(["-x", "3=3"]);
    expect(placed({ args: ["{}"] }, "a$$b$&").args).toEqual(["a$$b$&"]);
  });
});

describe("a map that reuses", () => {
  const earlier = (work: string) => (work === "b" ? resultOf("earlier", work, "completed", 0, 0n) : null);

  it("orders what no earlier receipt proves, and says which is which", async () => {
    const ways = new PaperWays();
    ways.earlier = earlier;
    const told: MapProgress[] = [];
    const all = await run(ways, ["a", "b", "c"], { reuse: true, onProgress: (progress) => told.push(progress) }).all;
    expect(words(all)).toEqual(["a", "b", "c"]);
    expect(all.map(({ isReused, result }) => [isReused, result?.bill.dueNanos])).toEqual([
      [false, 1n],
      [true, 0n],
      [false, 1n],
    ]);
    expect(ways.ordered).toEqual(["a", "c"]);
    expect(told.at(-1)).toMatchObject({ earlier: 1, costNanos: 2n });
  });

  it("takes nothing unless it is asked to, and follows what an earlier call has ordered", async () => {
    const ways = new PaperWays();
    ways.earlier = earlier;
    await run(ways, ["b"], { resume: "n" }).all;
    expect(ways.ordered).toEqual(["b"]);
    const [again] = await run(ways, ["b"], { resume: "n", reuse: true }).all;
    expect([again?.isEarlier, again?.isReused, again?.result?.lease]).toEqual([true, false, [...ways.leases.keys()][0]]);
  });
});

describe("another try", () => {
  it("follows an end that is not its customer's fault, and an order that came to nothing", async () => {
    const ways = new PaperWays();
    let tries = 0;
    ways.comesTo = () => (++tries < 2 ? { reason: "server-unreachable", dueNanos: 0n } : {});
    let broken = 0;
    ways.breaks = () => (++broken === 1 ? new NotStartedError("no server took it") : null);
    expect(words(await run(ways, ["a"], { retries: 2 }).all)).toEqual(["a"]);
    expect(ways.ordered).toEqual(["a", "a"]);
  });

  it.each(["overloaded", "bad_input"] as const)("pays for no job again whose lease was refused to be looked at (%s)", async (code) => {
    const ways = new PaperWays();
    let asked = 0;
    ways.checks = async () => {
      if (++asked === 1) throw code === "bad_input" ? new InputError("its folder has gone") : new RefusedError(refuse(code));
    };
    const told: MapProgress[] = [];
    const options = { resume: "n", budget: 21n, parallel: 1, retries: 1, onProgress: (progress: MapProgress) => told.push(progress) };
    const first = await run(ways, ["a", "b"], options).all;
    expect(words(first)).toEqual([code === "bad_input" ? "!-" : "a", "b"]);
    expect(words(await run(ways, ["a", "b"], options).all)).toEqual(["a", "b"]);
    expect(ways.ordered).toEqual(["a", "b"]);
    expect(told.at(-1)).toMatchObject({ costNanos: 2n });
  });

  it("follows an order that was taken, and not answered", async () => {
    const ways = new PaperWays();
    const { plan } = ways;
    ways.plan = async (input) => {
      const made = await plan(input);
      const order: typeof made.order = async (how) => {
        await made.order(how);
        throw new RefusedError(refuse("overloaded"));
      };
      return { ...made, order };
    };
    expect(words(await run(ways, ["a"], { retries: 1 }).all)).toEqual(["a"]);
    expect(ways.ordered).toEqual(["a"]);
  });

  it("does not follow a program that failed by itself", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => ({ exitCode: 1 });
    await run(ways, ["a"], { retries: 5 }).all;
    expect(ways.ordered).toEqual(["a"]);
  });
});
