/** A market's fingerprint as people hand it on: read out, copied, with or without its blanks. */
import { fingerprintOf, visible, type MarketPins } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { InputError } from "../errors.ts";

const bare = (fingerprint: string): string => fingerprint.toLowerCase().replaceAll(/[^0-9a-z]/g, "");

const FINGERPRINT = /^[0-9a-f]{32}$/;

/**
 * Throws InputError where it is none, such as a pipeline's variable that nobody has set, or where these are other keys than were named
 * beforehand. `where`: these keys stand; `then`: what did not happen.
 */
export function assertFingerprint(wanted: string, pins: MarketPins, where: string, then: string): void {
  if (!FINGERPRINT.test(bare(wanted)))
    throw new InputError(`'${visible(wanted)}' is no fingerprint, which has 32 of 0-9 and a-f, in groups of four: f370 4f00 …`);
  const fingerprint = fingerprintOf(nodeCrypto, pins);
  if (bare(wanted) !== bare(fingerprint)) throw new InputError(`the fingerprint ${where} is ${fingerprint}, not ${wanted}: ${then}`);
}
