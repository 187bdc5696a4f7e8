/** What people type on the command line, read strictly. */
import { parseMib, parseMoney } from "@xenoservers/market";
import type { Witness } from "@xenoservers/protocol";
import { UserError } from "../output/ui.ts";

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

export function parseDurationMs(text: string, option: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|min|h|d)$/.exec(text);
  if (!match) throw new UserError(`${option} '${text}' is not a duration; write 90s, 10m, 2h or 1d`);
  return Math.round(Number(match[1]) * UNITS[match[2]!]!);
}

export function parseAmount(text: string, option: string): bigint {
  const nanos = parseMoney(text);
  if (nanos === null) throw new UserError(`${option} '${text}' is not an amount; write 0.50`);
  return nanos;
}

export function parseSizeMib(text: string, option: string, least = 1): number {
  const size = parseMib(text);
  if (size === null || size < least) throw new UserError(`${option} '${text}' is not a size; write 512M or 2G`);
  return size;
}

export function parseCount(text: string, option: string, most: number): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) < 1 || Number(text) > most) throw new UserError(`${option} '${text}' must be a number from 1 to ${most}`);
  return Number(text);
}

const FUEL_PER_GIGA = 1_000_000_000n;

/** A whole number of giga-fuel (10^9), as fuel. */
export function parseGigaFuel(text: string, flag: string): bigint {
  return BigInt(parseCount(text, flag, 4_000_000_000)) * FUEL_PER_GIGA;
}

/** `NAME=KEY`, as `xeno witness` prints it. */
export function parseWitness(text: string): Witness {
  const match = /^([a-z0-9.-]{1,64})=([0-9a-f]{64})$/.exec(text);
  if (!match) throw new UserError(`the witness '${text.slice(0, 100)}' must be NAME=KEY, as xeno witness prints it`);
  return { name: match[1]!, key: match[2]! };
}
