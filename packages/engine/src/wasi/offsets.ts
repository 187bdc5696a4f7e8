/** The guest's 64-bit places and sizes as the host's numbers. */
import { WasiError } from "./abi.ts";

/** An offset or a cookie of the guest's as a number. */
export function safeOffset(value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WasiError("INVAL");
  return Number(value);
}

/** A file's size, or where it is written: one that is too large is refused as such. */
export function safeSize(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new WasiError("FBIG");
  return safeOffset(value);
}
