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

  /** How much of this time is gathered for, on how many servers on average, where somebody's orders come and go like this. */
  function gatheredBy(count: number, ordersAt: (now: number) => (typeof LARGE)[]): number {
    const gathered = new GatheredRoom();
    const there = servers(...Array.from({ length: count }, (_, i) => named(`s_${i}`)));
    const [step, end] = [5_000, 4 * 3_600_000];
    let sum = 0;
    for (let now = 0; now < end; now += step) {
      const orders = ordersAt(now).toSorted((a, b) => a.since - b.since);
      gathered.turn([...new Map(orders.toReversed().map((order) => [order.customer, order])).values()].toReversed(), there, now);
      sum += [...there.keys()].filter((server) => gathers(gathered, server)).length;
    }
    return sum / (end / step);
  }
  /** The nth such order is placed at n times this, and withdrawn once it has gathered for the first time. */
  const oneAfterAnother = (everyMs: number, party: (n: number) => string) => (now: number) => {
    const lives = GATHER_AFTER_MS + GATHER_FIRST_MS;
    const nths = Array.from({ length: Math.ceil(lives / everyMs) + 1 }, (_, i) => Math.floor(now / everyMs) - i);
    return nths.filter((n) => n >= 0 && now - n * everyMs < lives).map((n) => waits(`o${n}`, party(n), n * everyMs, 8));
  };

  it("is no more for a party that withdraws its order and places it again", () => {
    expect(
      gatheredBy(
        1,
        oneAfterAnother(GATHER_FIRST_MS, () => "a"),
      ),
    ).toBeLessThan(0.22);
    expect(
      gatheredBy(
        40,
        oneAfterAnother(GATHER_FIRST_MS, () => "a"),
      ),
    ).toBeLessThan(0.22);
  });

  it("is no more for many parties in turns: a fifth of the one server's time, a twentieth of a large market's room", () => {
    const inTurns = oneAfterAnother(5_000, (n) => `p${n}`);
    expect(gatheredBy(1, inTurns)).toBeLessThan(0.22);
    expect(gatheredBy(40, inTurns) / 40).toBeLessThan(0.055);
    expect(gatheredBy(40, inTurns) / 40).toBeGreaterThan(0.03);
  });

  it("is there for one that waits long, though others come before it in turns", () => {
    const others = oneAfterAnother(5_000, (n) => `p${n}`);
    const gathered = new GatheredRoom();
    const there = servers(named("s_1"));
    let isOurs = false;
    for (let now = 0; now < 4 * 3_600_000; now += 5_000) {
      const first = [LARGE, ...others(now)].toSorted((a, b) => a.since - b.since);
      gathered.turn(first, there, now);
      isOurs ||= now > 600_000 && gathers(gathered, "s_1") && !gathered.isForAnother(named("s_1"), LARGE);
    }
    expect(isOurs).toBe(true);
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
