/** What of the fuel goes before a module runs. */
import { preparationFuel } from "@xenoservers/market";
import { preparationProblem } from "@xenoservers/protocol";
import { UserError, gigaFuel } from "./ui.ts";

/** For smaller modules it is not worth a line. */
const SAID_FROM_BYTES = 1024 * 1024;

/** Null for a small module, and for one that comes with the engine (0 bytes). Throws UserError where the budget pays for no more. */
export function preparationLine(moduleSize: number, fuelMax: bigint): string | null {
  const problem = preparationProblem(moduleSize, fuelMax);
  if (problem !== null) throw new UserError(`${problem} that the budget pays for: order more (--budget)`);
  return moduleSize < SAID_FROM_BYTES
    ? null
    : `prepare  ${gigaFuel(preparationFuel(moduleSize))} of it, for making the module ready to run`;
}
