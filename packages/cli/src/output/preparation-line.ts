/** What of the fuel goes before a module runs. */
import { preparationFuel } from "@xenoservers/market";
import { gigaFuel } from "./ui.ts";

/** For smaller modules it is not worth a line. */
const SAID_FROM_BYTES = 1024 * 1024;

/** Null for a small module, and for one that comes with the engine (0 bytes). */
export function preparationLine(moduleSize: number): string | null {
  return moduleSize < SAID_FROM_BYTES
    ? null
    : `prepare  ${gigaFuel(preparationFuel(moduleSize))} of it, for making the module ready to run`;
}
