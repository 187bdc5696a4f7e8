import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GATHER_AFTER_MS, GATHER_FIRST_MS, GATHER_LONGEST_MS, GatheredRoom, gatheringTime } from "./gathering.ts";
import type { Candidate } from "./matching.ts";
import { candidate, waits } from "./waiting.fixture.ts";
import { WAITING_MS_MAX } from "./waiting.ts";

const servers = (...list: Candidate[]): ReadonlyMap<string, Candidate> => new Map(list.map((each) => [each.server, each]));
const named = (server: string, over: Partial<Candidate> = {}): Candidate => candidate(0, { server, ...over });
const LARGE = waits("large", "a", 0, 8);
const SMALL = { id: "small", customer: "b" };
const gathers = (gathered: GatheredRoom, server: string): boolean => gathered.isForAnother(named(server), SMALL);

describe("when an order gathers", () => {
  it("is after a minute, then for longer each time, and a fifth of its time at most", () => {
    expect(gatheringTime(GATHER_AFTER_MS - 1)).toBeNull();
    expect(gatheringTime(GATHER_AFTER_MS)).toBe(0);
    expect(gatheringTime(GATHER_AFTER_MS + GATHER_FIRST_MS - 1)).toBe(0);
    expect(gatheringTime(GATHER_AFTER_MS + GATHER_FIRST_MS)).toBeNull();
    expect(gatheringTime(GATHER_AFTER_MS + 5 * GATHER_FIRST_MS)).toBe(1);
    const step = 1_000;
    let [gathering, longest, now] = [0, 0, 0];
    for (let waited = 0; waited < WAITING_MS_MAX; waited += step) {
      const isGathering = gatheringTime(waited) !== null;
      if (isGathering) gathering += step;
      now = isGathering ? now + step : 0;
      longest = Math.max(longest, now);
    }
    expect(longest).toBeLessThanOrEqual(GATHER_LONGEST_MS);
    expect(gathering).toBeLessThan(WAITING_MS_MAX * 0.21);
    expect(gathering).toBeGreaterThan(WAITING_MS_MAX * 0.15);
  });
});

describe("what is gathered", () => {
  it("is one server's room, for nobody else but whose server it is, until it rests or waits no more", () => {
    const gathered = new GatheredRoom();
    const there = servers(named("s_1"));
    expect(gathered.turn([LARGE], there, GATHER_AFTER_MS - 1)).toEqual([]);
    expect(gathered.turn([LARGE], there, GATHER_AFTER_MS)).toEqual(["s_1"]);
    expect(gathered.turn([LARGE], there, GATHER_AFTER_MS + 1)).toEqual([]);
    expect(gathers(gathered, "s_1")).toBe(true);
    expect(gathered.isForAnother(named("s_1"), LARGE)).toBe(false);
    expect(gathered.isForAnother(named("s_1"), { id: "own", customer: LARGE.customer })).toBe(false);
    expect(gathered.isForAnother(named("s_1", { owner: SMALL.customer }), SMALL)).toBe(false);
    expect(gathered.turn([LARGE], there, GATHER_AFTER_MS + GATHER_FIRST_MS)).toEqual(["s_1"]);
    expect(gathers(gathered, "s_1")).toBe(false);
    expect(gathered.turn([LARGE], there, GATHER_AFTER_MS + 5 * GATHER_FIRST_MS)).toEqual(["s_1"]);
    expect(gathered.turn([], there, GATHER_AFTER_MS + 5 * GATHER_FIRST_MS + 1)).toEqual(["s_1"]);
    expect(gathers(gathered, "s_1")).toBe(false);
  });

  it("is on a server that could take the order whole, the cheapest first and another the next time", () => {
    const dear = { price: { ...named("s_0").price, vcpuNanosPerSecond: 9n } };
    const there = servers(
      ...[named("s_0", dear), named("s_1", { online: false }), named("s_2", { drivers: [] }), named("s_3"), named("s_4")],
      ...["s_5", "s_6", "s_7"].map((server) => named(server, { coolUntil: 1e12 })),
    );
    const on = (order: typeof LARGE, waited: number): string[] => {
      const gathered = new GatheredRoom();
      gathered.turn([order], there, waited);
      return [...there.keys()].filter((server) => gathers(gathered, server));
    };
    const again = GATHER_AFTER_MS + 5 * GATHER_FIRST_MS;
    expect(on(LARGE, GATHER_AFTER_MS)).toEqual(["s_3"]);
    expect(on(LARGE, again)).toEqual(["s_4"]);
    expect(on(LARGE, again + 10 * GATHER_FIRST_MS)).toEqual(["s_0"]);
    expect(on({ ...LARGE, tried: ["s_3"] }, GATHER_AFTER_MS)).toEqual(["s_4"]);
    expect(on({ ...LARGE, isWhole: false }, GATHER_AFTER_MS)).toEqual([]);
  });

  it("is given back where its server goes, and not looked for on another at once", () => {
    const gathered = new GatheredRoom();
    gathered.turn([LARGE], servers(named("s_1"), named("s_2")), GATHER_AFTER_MS);
    const without = servers(named("s_1", { online: false }), named("s_2"));
    expect(gathered.turn([LARGE], without, GATHER_AFTER_MS + 1)).toEqual(["s_1"]);
    expect(gathered.turn([LARGE], without, GATHER_AFTER_MS + 2)).toEqual([]);
    expect([gathers(gathered, "s_1"), gathers(gathered, "s_2")]).toEqual([false, false]);
  });

  it("is a quarter of the servers at most, each for one order, those first that wait longest", () => {
    const scenes = fc.record({
      count: fc.integer({ min: 1, max: 20 }),
      since: fc.array(fc.integer({ min: 0, max: 600_000 }), { maxLength: 30 }),
    });
    fc.assert(
      fc.property(scenes, ({ count, since }) => {
        const gathered = new GatheredRoom();
        const there = servers(...Array.from({ length: count }, (_, i) => named(`s_${i}`)));
        const first = since.toSorted((a, b) => a - b).map((at, i) => waits(`o${i}`, `p${i}`, at, 8));
        const now = 660_000;
        gathered.turn(first, there, now);
        const taken = [...there.keys()].filter((server) => gathers(gathered, server));
        const wanting = first.filter((order) => gatheringTime(now - order.since) !== null);
        const most = Math.max(1, Math.floor(count / 4));
        expect(taken).toHaveLength(Math.min(most, wanting.length));
        const holders = taken.map((server) => first.filter((order) => !gathered.isForAnother(named(server), order)));
        expect(holders.every((each) => each.length === 1)).toBe(true);
        expect(new Set(holders.flat())).toEqual(new Set(wanting.slice(0, most)));
      }),
    );
  });
});
