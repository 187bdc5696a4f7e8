/**
 * Where this program lies: its code is one folder below it, as source (`src`), as `npm run build` leaves it (`built`), and as it is
 * published (`dist`).
 */
import path from "node:path";

const OWN = path.resolve(import.meta.dirname, "..");

/** Of this program's package. */
export const ownFile = (name: string): string => path.join(OWN, name);

export const isInstalled = path.basename(import.meta.dirname) === "dist";

/** What Node is given to start this program. */
export const ENTRY = ownFile("bin/xeno.js");
