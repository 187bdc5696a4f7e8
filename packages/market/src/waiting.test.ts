import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { couldTake } from "./matching.ts";
import { candidate, size, waits, wish } from "./waiting.fixture.ts";
import { WaitingQueue, type Turns, type WaitingOrder } from "./waiting.ts";

const queueOf = (...orders: WaitingOrder[]): WaitingQueue => {
  const queue = new WaitingQueue();
  for (const order of orders) queue.put(order);
  return queue;
};
const all = (over: Partial<Turns> = {}): Turns => ({ had: new Set(), mayTake: () => true, max: 100, ...over });
const idsOn = (queue: WaitingQueue, free: number, max = 100, had: ReadonlySet<string> = new Set()): string[] =>
  queue.turnsOn(candidate(free), 0, all({ had, max })).map(({ id }) => id);

describe("turns", () => {
  it("go round the parties, the first of each first, whatever order they are heard of in", () => {
    const queue = queueOf(waits("a3", "a", 3), waits("a1", "a", 1), waits("a2", "a", 2), waits("b1", "b", 9), waits("c1", "c", 9));
    expect(idsOn(queue, 5)).toEqual(["a1", "b1", "c1", "a2", "a3"]);
    expect(idsOn(queue, 2)).toEqual(["a1", "b1"]);
    queue.turnTaken("a");
    expect(idsOn(queue, 5)).toEqual(["b1", "c1", "a1", "a2", "a3"]);
    expect(idsOn(queue, 5, 1, new Set(["b1"]))).toEqual(["c1"]);
  });

  it("pass over what does not fit, which holds nobody up", () => {
    const queue = queueOf(waits("large", "a", 1, 4), waits("small", "a", 2), waits("other", "b", 3));
    expect(idsOn(queue, 2)).toEqual(["small", "other"]);
    expect(idsOn(queue, 8)).toEqual(["large", "other", "small"]);
    expect(idsOn(queueOf({ ...waits("lapsed", "a", 1), tried: ["s_1"] }, waits("b1", "b", 2)), 8)).toEqual(["b1"]);
    expect(queue.turnsOn(candidate(8, { online: false }), 0, all())).toEqual([]);
  });

  it("are never more than what is free, are each an order's that waits, and leave out no party that fits", () => {
    const orders = fc.array(fc.record({ party: fc.constantFrom("a", "b", "c"), vcpu: fc.integer({ min: 1, max: 4 }) }), { maxLength: 20 });
    fc.assert(
      fc.property(orders, fc.integer({ min: 0, max: 8 }), (list, free) => {
        const queue = queueOf(...list.map(({ party, vcpu }, i) => waits(`${party}${i}`, party, i, vcpu)));
        const turns = queue.turnsOn(candidate(free), 0, all());
        const taken = turns.reduce((sum, order) => sum + order.wish.resources.vcpu, 0);
        expect(taken).toBeLessThanOrEqual(free);
        expect(new Set(turns).size).toBe(turns.length);
        // whoever was left out would not fit beside the others
        for (const [i, { party, vcpu }] of list.entries())
          if (!turns.some(({ id }) => id === `${party}${i}`)) expect(vcpu).toBeGreaterThan(free - taken);
      }),
    );
  });
});

describe("a place", () => {
  it("is how many have their turn before, and no more is said", () => {
    const queue = queueOf(waits("a1", "a", 1), waits("a2", "a", 2), waits("a3", "a", 3), waits("b1", "b", 4), waits("b2", "b", 5));
    expect(["a1", "b1", "a2", "b2", "a3"].map((id) => queue.aheadOf(id))).toEqual([0, 1, 2, 3, 4]);
    queue.remove("a1");
    expect(["a2", "b1", "a3"].map((id) => queue.aheadOf(id))).toEqual([0, 1, 2]);
    expect(queue.aheadOf("a1")).toBeNull();
    expect(queue.size).toBe(4);
  });

  it("is where the order stands among all turns", () => {
    const orders = fc.array(fc.constantFrom("a", "b", "c", "d"), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(orders, (parties) => {
        const queue = queueOf(...parties.map((party, i) => waits(`${i}`, party, i)));
        const turns = queue.turnsOn(candidate(1e6, { resources: size(1e6) }), 0, all({ max: 1_000 }));
        for (const [i, { id }] of turns.entries()) expect(queue.aheadOf(id)).toBe(i);
      }),
    );
  });
});

it("could take what only a full, absent or resting server keeps it from, and nothing else", () => {
  const never = [{ drivers: [] }, { suspended: true }, { isReferee: true }, { allowedParties: ["p_x"] }, { validUntil: 0 }];
  const another = [{ online: false }, { clockIsRight: false }, { coolUntil: 1e15 }, {}];
  for (const over of another) expect(couldTake(candidate(0, over), wish("c", 8), 1)).toBe(true);
  for (const over of never) expect(couldTake(candidate(8, over), wish("c", 1), 1)).toBe(false);
  expect(couldTake(candidate(8), wish("c", 9), 1)).toBe(false);
});
