/** A market's fingerprint as people hand it on: read out, copied, with or without its blanks. */
import type { MarketPins } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { fingerprintOf } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";

const bare = (fingerprint: string): string => fingerprint.toLowerCase().replaceAll(/[^0-9a-z]/g, "");

/** Throws UserError where these are other keys than were named beforehand. `where`: these keys stand; `then`: what did not happen. */
export function assertFingerprint(wanted: string, pins: MarketPins, where: string, then: string): void {
  const fingerprint = fingerprintOf(nodeCrypto, pins);
  if (bare(wanted) !== bare(fingerprint)) throw new UserError(`the fingerprint ${where} is ${fingerprint}, not ${wanted}: ${then}`);
}
