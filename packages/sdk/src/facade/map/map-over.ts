/** A map of a market's: each input's run, by the ways in which that market orders. Who controls the inputs: the program that calls. */
import type { RunInput } from "../run-input.ts";
import { MapRun } from "./map-run.ts";
import { mapWays, type Orders } from "./market-ways.ts";
import { mapSettingsOf, placed, type MapOptions } from "./options.ts";

/** Nothing begins before it is read. Throws InputError. */
export function mapOver<T>(
  orders: () => Orders,
  inputs: Iterable<T>,
  each: RunInput | ((input: T, index: number) => RunInput),
  options: MapOptions,
): MapRun<T> {
  const settings = mapSettingsOf(options);
  const made = typeof each === "function" ? each : (input: T): RunInput => placed(each, input);
  return new MapRun(mapWays(orders()), [...inputs], made, settings);
}
