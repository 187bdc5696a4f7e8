/** A map of a market's: each input's run, by the ways in which that market orders. Who controls the inputs: the program that calls. */
import type { RunInput } from "../run-input.ts";
import { MapRun } from "./map-run.ts";
import { ordersOf, type MapMeans } from "./market-orders.ts";
import { mapWays } from "./market-ways.ts";
import { mapSettingsOf, placed, type MapOptions } from "./options.ts";

/** Half of the budget is for those that run at once, so that what a few have cost does not make the rest fewer. */
const shareOf = (budgetNanos: bigint, parallel: number): bigint => {
  const share = budgetNanos / BigInt(2 * parallel);
  return share > 0n ? share : 1n;
};

/** Nothing begins before it is read. Throws InputError. */
export function mapOver<T>(
  means: () => MapMeans,
  inputs: Iterable<T>,
  each: RunInput | ((input: T, index: number) => RunInput),
  options: MapOptions,
): MapRun<T> {
  const settings = mapSettingsOf(options);
  const { budgetNanos, parallel } = settings;
  // an order's usual budget may be more than that of all
  const usual: RunInput = budgetNanos === null ? {} : { budget: shareOf(budgetNanos, parallel) };
  const own = typeof each === "function" ? each : (input: T): RunInput => placed(each, input);
  const made = (input: T, index: number): RunInput => {
    const run = own(input, index);
    // what is no run at all is refused where it is read, of this input alone
    if (typeof run !== "object" || run === null) return run;
    return run.budget === undefined ? { ...run, ...usual } : run;
  };
  return new MapRun(mapWays(ordersOf(means())), [...inputs], made, settings);
}
