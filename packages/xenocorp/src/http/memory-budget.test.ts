import { expect, it } from "vitest";
import { MemoryShare } from "@xenoservers/protocol/link";
import { memoryBudget } from "./memory-budget.ts";

/** Held by somebody, who lets go of everything when it is cut. */
function holder(share: MemoryShare) {
  const one = { cut: 0, held: share.hold(() => void one.cut++) };
  return one;
}

it("cuts whoever holds most, and not those who hold little", () => {
  const share = new MemoryShare(1_000);
  const [greedy, lesser, honest] = [holder(share), holder(share), holder(share)];
  expect([greedy.held.add(600), lesser.held.add(350), honest.held.add(20)]).toEqual([true, true, true]);
  expect(honest.held.add(40)).toBe(true);
  expect([greedy.cut, lesser.cut, honest.cut, share.used]).toEqual([1, 0, 0, 410]);
});

it("refuses the one that asks where nobody holds more than it would", () => {
  const share = new MemoryShare(1_000);
  const [greedy, honest] = [holder(share), holder(share)];
  honest.held.add(400);
  greedy.held.add(500);
  expect([greedy.held.add(200), greedy.cut, honest.cut, share.used]).toEqual([false, 0, 0, 900]);
});

it("never holds more than it may, and gets back what is let go of, once", () => {
  const share = new MemoryShare(100);
  const many = Array.from({ length: 50 }, () => holder(share));
  for (let round = 0; round < 20; round++)
    for (const { held } of many) {
      held.add((round * 7) % 30);
      expect(share.used).toBeLessThanOrEqual(100);
    }
  for (const { held } of many) {
    held.end();
    held.end();
    held.drop(1_000);
  }
  expect(share.used).toBe(0);
});

it("its shares are together what the operator gave", () => {
  const { links, bodies, transfers } = memoryBudget(64);
  expect(links.bytesMax + bodies.bytesMax + transfers.bytesMax).toBe(64 * 1024 * 1024);
  expect(() => memoryBudget(63)).toThrow("give 64 at least");
});
