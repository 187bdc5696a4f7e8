/**
 * The draw of an audit: a number that nobody can foresee who lacks the secret of the round, and that everybody can recompute who has it.
 * `mac` is HMAC-SHA256 of lease and salt under that secret (PROTOCOL section 9).
 */
import { PPM } from "./audit.ts";

/** Of the HMAC, so many bytes are the number. */
const DRAWN_BYTES = 8;
const DRAWN_BITS = 64n;

/** Whether the number that these bytes begin with, as a part of 2^64, is below the rate. */
export function isDrawn(mac: Uint8Array, ppm: number): boolean {
  let drawn = 0n;
  for (const byte of mac.subarray(0, DRAWN_BYTES)) drawn = (drawn << 8n) | BigInt(byte);
  return drawn * BigInt(PPM) < BigInt(ppm) << DRAWN_BITS;
}
