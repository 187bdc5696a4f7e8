/** What many jobs as one may spend, on a market of paper: a hold for all, what comes back, and what an earlier call of that name has spent. */
import { describe, expect, it } from "vitest";
import { RefusedError } from "../../errors.ts";
import { refuse } from "@xenoservers/protocol";
import { MapJournal } from "./journal.ts";
import { quiet, run, words } from "./map-run.fixture.ts";
import { type Mapped } from "./options.ts";
import { PaperWays, digestOf } from "./paper-ways.fixture.ts";

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

describe("the money of a map with a name", () => {
  const named = { resume: "n", parallel: 2 };

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

  it.each(["leaseOf", "closeBatch"] as const)(
    "that is called off while the broker answers nothing (%s) ends, and goes on later",
    async (asked) => {
      const { ways, order } = await leftUnderWay();
      const journal = await MapJournal.open(ways.place, ways.owner);
      journal.batch = digestOf("left open");
      await journal.save();
      await journal.close();
      const [off, answers, reached] = [new AbortController(), Promise.withResolvers<never>(), Promise.withResolvers<void>()];
      const before = ways[asked];
      ways[asked] = () => (reached.resolve(), answers.promise);
      const { all } = run(ways, ["a", "b"], { ...named, parallel: 1, budget: 15n, signal: off.signal });
      all.catch(() => {});
      await reached.promise;
      off.abort();
      await expect(all).rejects.toMatchObject({ code: "left_undone" });
      answers.reject(new Error("gone"));
      Object.assign(ways, { [asked]: before });
      ways.end(order, { dueNanos: 4n });
      expect(words(await run(ways, ["a", "b"], { ...named, parallel: 1, budget: 15n }).all)).toEqual(["a", "b"]);
    },
  );

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

  it("has one budget in all its calls", async () => {
    const ways = new PaperWays();
    ways.comesTo = () => ({ dueNanos: 8n });
    await run(ways, ["a", "b"], { ...named, budget: 20n }).all;
    const all = await run(ways, ["a", "b", "c"], { ...named, budget: 20n }).all;
    expect(words(all)).toEqual(["a", "b", "!-"]);
  });
});
