/** On what hands are laid, and how often its channel is opened. */
import { LEASE_STATES } from "@xenoservers/market";
import type { Machine } from "@xenoservers/sdk/machines";
import { expect, it } from "vitest";
import { Hands, isThere } from "./hands.ts";

it("is a machine that its server has, and none that has ended and is not paid yet", () => {
  expect(LEASE_STATES.filter(isThere)).toEqual(["bound", "accepted", "open", "stopping", "committed", "revealed"]);
});

it("opens its channel once for all that is asked, anew after a failure, and lets go of it", async () => {
  const opened: string[] = [];
  let closed = 0;
  const market = {
    machine: async (lease: string) => {
      opened.push(lease);
      if (opened.length === 1) throw new Error("not reached");
      return { close: () => void closed++ } as unknown as Machine;
    },
  };
  const hands = new Hands(market, "a lease");
  await expect(hands.machine()).rejects.toThrow("not reached");
  const both = await Promise.all([hands.machine(), hands.machine()]);
  expect([both[0] === both[1], opened.length]).toEqual([true, 2]);
  hands.close();
  await new Promise((later) => setImmediate(later));
  expect(closed).toBe(1);
});
