/** What runs this program. Who controls the input: whoever starts it. */
import { InputError } from "../errors.ts";

/** Throws InputError where the language lacks what Node has from 22 on: an order would be signed and paid for before that is found. */
export function assertRuntime(set: object = Set.prototype): void {
  if ("difference" in set) return;
  throw new InputError(`@xenoservers/sdk needs Node 22 or later, or a runtime that has as much; this is ${process.version}`);
}
