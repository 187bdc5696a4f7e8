/**
 * Money: integer nanos (10^-9 of the market's currency) as bigint; decimal strings on the wire.
 * Invariant: no floating point ever touches an amount. Who controls the inputs: anyone (wire strings, CLI flags).
 */

const NANOS_PER_UNIT = 1_000_000_000n;

/** Largest amount the books accept, so that sums of millions of rows stay inside a signed 64-bit integer. */
export const NANOS_MAX = 1_000_000_000_000_000n;

/** Reads a wire amount: a non-negative decimal integer without leading zeros, at most NANOS_MAX. Null when it is not one. */
export function parseNanos(text: string): bigint | null {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return null;
  const nanos = BigInt(text);
  return nanos <= NANOS_MAX ? nanos : null;
}

/** Reads what a person types: `1`, `0.05`, up to nine decimals. Null when it is not an amount. */
export function parseMoney(text: string): bigint | null {
  const match = /^(\d{1,6})(?:\.(\d{1,9}))?$/.exec(text.trim());
  if (!match) return null;
  return BigInt(match[1]!) * NANOS_PER_UNIT + BigInt((match[2] ?? "").padEnd(9, "0") || "0");
}

/** Shows an amount in units with at least `decimals` decimals; smaller digits are shown only where they are not zero. */
export function formatMoney(nanos: bigint, decimals = 4): string {
  const sign = nanos < 0n ? "-" : "";
  const absolute = nanos < 0n ? -nanos : nanos;
  const fraction = (absolute % NANOS_PER_UNIT).toString().padStart(9, "0");
  const kept = fraction.slice(0, decimals) + fraction.slice(decimals).replace(/0+$/, "");
  return `${sign}${absolute / NANOS_PER_UNIT}.${kept}`;
}

export function minNanos(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
