/** What each run of a map may cost where its program has not said. */
import { systemTimers } from "@xenoservers/protocol/link";
import { describe, expect, it } from "vitest";
import { InputError } from "../../errors.ts";
import { assertRunInput } from "../read-input.ts";
import type { RunInput } from "../run-input.ts";
import type { MapMeans } from "./market-orders.ts";
import { mapOver } from "./map-over.ts";
import type { MapOptions } from "./options.ts";

const module = new Uint8Array();

/** What each run was read with, by a market that runs none. */
async function budgetsOf(each: RunInput | ((input: number) => RunInput), options: MapOptions): Promise<unknown[]> {
  const read: unknown[] = [];
  const ordering = {
    client: { timers: systemTimers, identity: { party: "p", scopes: [], account: "a" }, pins: { origin: "o" } },
    read: async (run: RunInput) => {
      assertRunInput(run);
      read.push(run.budget);
      throw new InputError("it runs nothing");
    },
  };
  await mapOver(() => ({ ordering }) as unknown as MapMeans, [1, 2, 3], each, options).all;
  return read;
}

describe("a run of a map", () => {
  it("that names no budget has a share of the map's, which pays for twice as many as run at once", async () => {
    expect(await budgetsOf({ module }, { parallel: 2, budget: "0.20" })).toEqual([50_000_000n, 50_000_000n, 50_000_000n]);
    expect(await budgetsOf({ module }, { parallel: 3, budget: 5n })).toEqual([1n, 1n, 1n]);
  });

  it("that is none is refused alone", async () => {
    const own = (input: number): RunInput => (input === 2 ? (undefined as unknown as RunInput) : { module });
    await expect(budgetsOf(own, { parallel: 1, budget: 4n })).resolves.toHaveLength(2);
  });

  it("keeps its own, and the usual one where the map has none", async () => {
    const own = (input: number): RunInput => (input === 2 ? { module, budget: "0.01" } : { module });
    expect(await budgetsOf(own, { parallel: 1, budget: 4n })).toEqual([2n, "0.01", 2n]);
    expect(await budgetsOf({ module }, { parallel: 2 })).toEqual([undefined, undefined, undefined]);
  });
});
