/** Many jobs as one, on a market of paper: order, bounds, failures, and what a later call takes, follows and pays. */
import { describe, expect, it } from "vitest";
import { InputError, NotStartedError, RefusedError } from "../../errors.ts";
import { refuse } from "@xenoservers/protocol";
import { MapJournal, type JournalEntry } from "./journal.ts";
import { MapRun } from "./map-run.ts";
import { mapSettingsOf, placed, type MapOptions, type MapProgress, type Mapped } from "./options.ts";
import { PaperWays, digestOf, resultOf } from "./paper-ways.fixture.ts";

const run = (ways: PaperWays, inputs: readonly (string | number)[], options: MapOptions = {}): MapRun<string | number> =>
  new MapRun(ways, inputs, (input) => placed({ budget: 10n }, input), mapSettingsOf(options));
const words = (all: readonly Mapped<unknown>[]): string[] => all.map(({ ok, result }) => `${ok ? "" : "!"}${result?.stdout.trim() ?? "-"}`);
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What the journal has of these inputs. */
async function lines({ place, owner }: PaperWays, inputs: readonly (string | number)[]): Promise<JournalEntry[]> {
  const journal = await MapJournal.open(place, owner);
  return inputs.map((input) => journal.take(digestOf(String(input))));
}

/** Nothing more happens by itself. */
async function quiet(): Promise<void> {
  for (let i = 0; i < 20; i++) await settled();
}

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

describe("the budget for all", () => {
  it("is a bound alone where each has a hold of its own", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => ({ dueNanos: 4n });
    const all = await run(ways, ["a", "b", "c", "d", "e", "f", "g"], { budget: 25n, hold: "each", parallel: 8 }).all;
    expect(words(all)).toEqual(["a", "b", "c", "d", "!-", "!-", "!-"]);
    expect(ways.heldMaxNanos).toBeLessThanOrEqual(25n);
    expect(ways.batches).toEqual([]);
  });

  it("that is larger than what the account holds waits for what is held to come back, and fails where nothing is", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const ended = new Set<string>();
    let room = 2;
    let refused = 0;
    ways.breaks = () => (ways.leases.size - ended.size < room ? null : (refused++, new RefusedError(refuse("insufficient_funds"))));
    const { all } = run(ways, ["a", "b", "c", "d", "e"], { parallel: 4, hold: "each" });
    while (ended.size < 5) {
      await quiet();
      const asked = refused;
      await quiet();
      expect(refused).toBe(asked);
      const [order] = [...ways.leases.keys()].filter((each) => !ended.has(each));
      ended.add(order!);
      ways.end(order!, {});
    }
    expect(words(await all)).toEqual(["a", "b", "c", "d", "e"]);
    room = 0;
    const none = await run(ways, ["f", "g"], { parallel: 2, hold: "each" }).all;
    expect(none.map((each) => [each.ok, each.ok ? null : (each.error as RefusedError).code])).toEqual([
      [false, "insufficient_funds"],
      [false, "insufficient_funds"],
    ]);
  });

  it("bounds what is under way, is held once, and names what it does not pay for", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => ({ dueNanos: 4n });
    const all = await run(ways, ["a", "b", "c", "d", "e", "f", "g"], { budget: 25n, parallel: 8 }).all;
    // 4 each: after four of them 9 are left, less than one may cost
    expect(words(all)).toEqual(["a", "b", "c", "d", "!-", "!-", "!-"]);
    expect(all[6]).toMatchObject({ error: { code: "left_undone" } });
    expect(ways.heldMaxNanos).toBeLessThanOrEqual(25n);
    expect(ways.batches).toEqual(["open 25", "close"]);
  });

  it("counts what a try has cost that failed", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => ({ reason: "server-failed", dueNanos: 6n });
    const all = await run(ways, ["a"], { budget: 25n, retries: 9 }).all;
    expect([ways.ordered.length, all[0]?.ok]).toEqual([3, false]);
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

describe("a map with a name", () => {
  const named = { resume: "n", parallel: 2 };

  it("orders nothing again, wherever an input stands, and runs a changed one anew", async () => {
    const ways = new PaperWays();
    ways.comesTo = (work) => ({ exitCode: work === "b" ? 1 : 0 });
    const first = await run(ways, ["a", "b", "a"], named).all;
    const again = await run(ways, ["new", "b", "a", "a"], named).all;
    expect(words(again)).toEqual(["new", "!b", "a", "a"]);
    expect(ways.ordered.toSorted()).toEqual(["a", "a", "b", "new"]);
    expect(again.map(({ isEarlier }) => isEarlier)).toEqual([false, true, true, true]);
    expect(new Set([first[0]?.result?.lease, first[2]?.result?.lease])).toEqual(
      new Set([again[2]?.result?.lease, again[3]?.result?.lease]),
    );
    expect(again[3]?.result?.printed).toEqual(first[0]?.result?.printed);
  });

  it("forgets what is of no input any more, when all is done", async () => {
    const ways = new PaperWays();
    await run(ways, ["a", "b"], named).all;
    await run(ways, ["b"], named).all;
    expect(ways.place.results.size).toBe(1);
    await run(ways, ["a"], named).all;
    expect(ways.ordered).toEqual(["a", "b", "a"]);
  });

  it("that is called off lets what runs run on, and goes on with it", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b", "c"], { ...named, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ code: "left_undone", message: expect.stringContaining("by the name 'n'") as string });
    for (const order of ways.leases.keys()) ways.end(order, {});
    ways.comesTo = () => ({});
    expect(words(await run(ways, ["a", "b", "c"], named).all)).toEqual(["a", "b", "c"]);
    expect(ways.ordered).toEqual(["a", "b", "c"]);
  });

  /** A map that was called off while its one input ran, with a budget that does not reach for another beside it. */
  const leftUnderWay = async (): Promise<{ ways: PaperWays; order: string }> => {
    const ways = new PaperWays();
    ways.comesTo = (work) => (work === "b" ? null : {});
    const off = new AbortController();
    const { all } = run(ways, ["b"], { ...named, budget: 15n, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ code: "left_undone" });
    return { ways, order: [...ways.leases.keys()][0]! };
  };

  it.each(["has ended", "runs on"])("never waits for money that an input further down holds, whose earlier lease %s", async (which) => {
    const { ways, order } = await leftUnderWay();
    if (which === "has ended") ways.end(order, { dueNanos: 4n });
    const later = run(ways, ["a", "b"], { ...named, parallel: 1, budget: 15n, retries: 0 }).all;
    await quiet();
    if (which === "runs on") ways.end(order, { dueNanos: 4n });
    expect(words(await later)).toEqual(["a", "b"]);
    expect(ways.ordered).toEqual(["b", "a"]);
  });

  it("spends what leases of an earlier call give back, before it has a hold of its own and after", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b"], { ...named, budget: 25n, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ code: "left_undone" });
    const [a, b] = [...ways.leases.keys()];
    ways.end(a!, {});
    const later = run(ways, ["a", "c", "d", "e", "b"], { ...named, parallel: 3, budget: 25n, retries: 0 }).all;
    await quiet();
    expect(ways.batches).toEqual(["open 25", "close", "open 14"]);
    // what it gives back is no part of that
    ways.end(b!, {});
    await quiet();
    expect(ways.ordered).toEqual(["a", "b", "c", "d"]);
    ways.comesTo = () => ({});
    for (const order of ways.leases.keys()) ways.end(order, {});
    expect(words(await later)).toEqual(["a", "c", "d", "e", "b"]);
    expect(ways.batches).toEqual(["open 25", "close", "open 14", "close"]);
    expect([...ways.leases.values()].map(({ batch }) => batch !== null)).toEqual([true, true, true, false, true]);
  });

  /** Its second call has 8 nanos in the map's hold and 9 in the account when `d` is ordered, which may cost 10. */
  async function divided(ways: PaperWays, whenOrdered = (): void => {}): Promise<Mapped<string | number>[]> {
    ways.accountNanos = 25n;
    ways.comesTo = () => null;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b"], { ...named, budget: 25n, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ code: "left_undone" });
    const [a, b] = [...ways.leases.keys()];
    ways.end(a!, {});
    ways.comesTo = (work) => (work === "c" ? null : {});
    const later = run(ways, ["a", "c", "b", "d"], { ...named, parallel: 1, budget: 25n, retries: 0 }).all;
    await quiet();
    ways.end(b!, {});
    whenOrdered();
    ways.end([...ways.leases.keys()].at(-1)!, { dueNanos: 6n });
    return later;
  }

  it("puts its hold and what the account was given back together, where neither pays for an input alone", async () => {
    const ways = new PaperWays();
    expect(words(await divided(ways))).toEqual(["a", "c", "b", "d"]);
    expect(ways.batches).toEqual(["open 25", "close", "open 14", "close", "open 17", "close"]);
    expect(ways.accountNanos).toBe(25n - 9n);
    expect([...ways.leases.values()].at(-1)?.batch).not.toBe(null);
  });

  it("has a hold for each where the account was spent from meanwhile", async () => {
    const ways = new PaperWays();
    const all = await divided(ways, () => (ways.accountNanos! -= 5n));
    expect(words(all)).toEqual(["a", "c", "b", "d"]);
    expect(ways.batches).toEqual(["open 25", "close", "open 14", "close"]);
    expect([...ways.leases.values()].at(-1)?.batch).toBe(null);
    const poor = new PaperWays();
    const none = await divided(poor, () => (poor.accountNanos = 1n));
    expect(none.map((each) => (each.ok ? "" : (each.error as RefusedError).code))).toEqual(["", "", "", "insufficient_funds"]);
  });

  /** The first word that its hold is to be closed is answered so. */
  function closesLate(ways: PaperWays, code: "rate_limited" | "suspended"): () => void {
    const close = ways.closeBatch;
    let refused = 0;
    return () => {
      ways.closeBatch = async (batch) => {
        if (refused++ > 0) return close(batch);
        throw new RefusedError(refuse(code));
      };
    };
  }

  it("puts both together once a broker answers that was away as its hold was to be closed", async () => {
    const ways = new PaperWays();
    expect(words(await divided(ways, closesLate(ways, "rate_limited")))).toEqual(["a", "c", "b", "d"]);
    expect(ways.warned).toEqual([expect.stringContaining("the broker cannot be asked now")]);
    expect(ways.accountNanos).toBe(25n - 9n);
  });

  it("leaves an input undone, and no hold behind, where its hold cannot be closed then", async () => {
    const ways = new PaperWays();
    const all = await divided(ways, closesLate(ways, "suspended"));
    expect(all.map((each) => (each.ok ? "" : (each.error as RefusedError).code))).toEqual(["", "", "", "insufficient_funds"]);
    expect([ways.batches.at(-1), ways.accountNanos]).toEqual(["close", 25n - 8n]);
  });

  it("that is called off while it waits for money ends, though the lease that holds it runs on", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    for (const inputs of [["b"], ["a", "b"]]) {
      const off = new AbortController();
      const { all } = run(ways, inputs, { ...named, parallel: 1, budget: 15n, signal: off.signal });
      all.catch(() => {});
      await quiet();
      off.abort();
      await expect(all).rejects.toMatchObject({ code: "left_undone" });
    }
    expect(ways.ordered).toEqual(["b"]);
  });

  it("never waits for the end of a lease that nobody took: its order was placed again", async () => {
    const { ways, order } = await leftUnderWay();
    const again = digestOf("again");
    ways.leases.set(again, { ...ways.leases.get(order)!, end: Promise.withResolvers() });
    ways.leaseOf = async (asked) => (asked === order ? again : asked);
    ways.end(again, { dueNanos: 4n });
    const waits = new AbortController();
    ways.sleep = async () => waits.abort();
    const later = await run(ways, ["a", "b"], { ...named, parallel: 1, budget: 15n, retries: 0, signal: waits.signal }).all;
    expect(words(later)).toEqual(["a", "b"]);
    expect(later[1]?.result?.lease).toBe(again);
  });

  it("says that its budget is used up where an input further down has used it", async () => {
    const { ways, order } = await leftUnderWay();
    ways.end(order, { dueNanos: 10n });
    const again = await run(ways, ["a", "b"], { ...named, parallel: 1, budget: 15n }).all;
    expect(words(again)).toEqual(["!-", "b"]);
    expect(again[0]).toMatchObject({ error: { code: "left_undone" } });
  });

  it("that is called off stops what runs where that is wanted, which a later call runs anew", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b", "c"], { ...named, stops: true, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toMatchObject({ message: expect.stringContaining("what ran was stopped; go on by the name 'n'") as string });
    for (const { end } of ways.leases.values()) expect((await end.promise).end.reason).toBe("customer-stop");
    ways.comesTo = () => ({});
    expect(words(await run(ways, ["a", "b", "c"], named).all)).toEqual(["a", "b", "c"]);
    expect(ways.ordered).toEqual(["a", "b", "a", "b", "c"]);
  });

  it("that is called off leaves no job at a server that has not all of it", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    ways.isThere = false;
    const off = new AbortController();
    const { all } = run(ways, ["a"], { ...named, signal: off.signal });
    await quiet();
    off.abort();
    await expect(all).rejects.toThrow(/called off/);
    for (const { end } of ways.leases.values()) expect((await end.promise).end.reason).toBe("customer-stop");
  });

  it("that is called off while an order is answered lets go of that one too", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => null;
    const answer = Promise.withResolvers<void>();
    ways.answers = () => answer.promise;
    const off = new AbortController();
    const { all } = run(ways, ["a", "b"], { resume: "m", parallel: 2, signal: off.signal });
    await quiet();
    off.abort(new Error("interrupted"));
    await quiet();
    answer.resolve();
    await expect(all).rejects.toThrow(/called off with 0 of 2 done/);
    expect((await lines(ways, ["a", "b"])).map(({ lease }) => lease)).toEqual([...ways.leases.keys()]);
    ways.answers = null;
    const later = run(ways, ["a", "b"], { resume: "m" }).all;
    for (const order of ways.leases.keys()) ways.end(order, {});
    expect(words(await later)).toEqual(["a", "b"]);
    expect(ways.ordered).toEqual(["a", "b"]);
  });

  it("is gone on with from every moment in which a program can be killed, without a job that is paid twice", async () => {
    // what was written by then is all that is left of the first call, and of what is written in that moment a part
    for (const part of [0, 0.5, 0.99])
      for (let moment = 0; moment < 12; moment++) {
        const ways = new PaperWays();
        const { place } = ways;
        const { write, append } = place;
        let writes = 0;
        const unlessDead = async (text: string, doing: (text: string) => Promise<void>): Promise<void> => {
          if (writes < moment) await doing(text);
          else if (writes === moment && doing === append) place.text += text.slice(0, text.length * part);
          if (writes++ >= moment) throw new Error("killed");
        };
        place.write = (text) => unlessDead(text, write);
        place.append = (text) => unlessDead(text, append);
        await run(ways, ["a", "b", "c"], named).all.catch(() => {});
        Object.assign(place, { write, append });
        for (const order of ways.leases.keys()) ways.end(order, {});
        const why = `moment ${moment}, part ${part}`;
        expect(words(await run(ways, ["a", "b", "c"], named).all), why).toEqual(["a", "b", "c"]);
        expect(ways.ordered.toSorted(), why).toEqual(["a", "b", "c"]);
      }
  });

  it("writes what has changed, not all that it knows, and can be read after a write that failed half-way", async () => {
    const ways = new PaperWays();
    const inputs = Array.from({ length: 200 }, (_, i) => i);
    let bytes = 0;
    const { append, write } = ways.place;
    let fails = true;
    ways.place.write = (text) => ((bytes += text.length), write(text));
    ways.place.append = async (text) => {
      bytes += text.length;
      if (fails) ways.place.text += text.slice(0, text.length / 2);
      if (fails) throw new Error("no space");
      await append(text);
    };
    await run(ways, inputs, named).all.catch(() => {});
    fails = false;
    bytes = 0;
    await run(ways, inputs, { ...named, parallel: 4 }).all;
    // three lines a job
    expect(bytes).toBeLessThan(200 * 3 * 600);
    expect((await lines(ways, inputs)).every(({ isOver }) => isOver)).toBe(true);
  });

  it("that was killed between its order and the answer asks by the order what came of it", async () => {
    const ways = new PaperWays();
    ways.breaks = () => new Error("killed");
    await run(ways, ["a"], named).all.catch(() => {});
    const [entry] = await lines(ways, ["a"]);
    expect(entry).toMatchObject({ order: expect.any(String) as string, lease: null });
    ways.breaks = null;
    ways.leases.set(entry!.order!, { work: "a", batch: null, holdNanos: 10n, end: Promise.withResolvers() });
    ways.end(entry!.order!, {});
    const [again] = await run(ways, ["a"], named).all;
    expect([again?.result?.lease, ways.ordered]).toEqual([entry!.order, []]);
  });

  it("runs again what was stopped or was no fault of its customer's", async () => {
    const ways = new PaperWays();
    ways.comesTo = (work) => ({ reason: work === "a" ? "customer-stop" : "server-failed" });
    await run(ways, ["a", "b"], named).all;
    ways.comesTo = () => ({});
    expect(words(await run(ways, ["a", "b"], named).all)).toEqual(["a", "b"]);
    expect(ways.ordered).toEqual(["a", "b", "a", "b"]);
  });

  it("has one budget in all its calls", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => ({ dueNanos: 8n });
    await run(ways, ["a", "b"], { ...named, budget: 20n }).all;
    const all = await run(ways, ["a", "b", "c"], { ...named, budget: 20n }).all;
    expect(words(all)).toEqual(["a", "b", "!-"]);
  });

  it("is of one party in one market, and is not taken for another's or for nothing", async () => {
    const ways = new PaperWays();
    await run(ways, ["a"], named).all;
    ways.owner.party = "other";
    await expect(run(ways, ["a"], named).all).rejects.toMatchObject({ code: "kept_differs" });
    for (const damaged of ["{", "{}\n", `${ways.place.text?.split("\n")[0] ?? ""}\n{}\n`]) {
      ways.place.text = damaged;
      await expect(run(ways, ["a"], named).all).rejects.toMatchObject({ code: "kept_differs" });
    }
  });
});
