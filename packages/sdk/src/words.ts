/** Amounts, durations, sizes and counts as people write them, read strictly. Who controls the texts: whoever runs this. */
import { parseConditions, parseDuration, parseMib, parseMoney } from "@xenoservers/market";
import { InputError } from "./errors.ts";

const DURATION_MS_MAX = 365 * 24 * 3_600_000;

export function parseDurationMs(text: string, option: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InputError(`${option} '${text}' is not a duration; write 90s, 10m, 2h or 1d`);
  if (ms > DURATION_MS_MAX) throw new InputError(`${option} '${text}' is too long: at most 365d`);
  return ms;
}

const TOO_MUCH = /^\d{7,}(?:\.\d{1,9})?$/;

export function parseAmount(text: string, option: string): bigint {
  const nanos = parseMoney(text);
  if (nanos === null && TOO_MUCH.test(text.trim()))
    throw new InputError(`${option} '${text.slice(0, 64)}' is too much: at most 999999.999999999`);
  if (nanos === null) throw new InputError(`${option} '${text}' is not an amount; write 0.50`);
  return nanos;
}

/** Of which nothing pays for nothing. */
export function parseBudget(text: string, option: string): bigint {
  const nanos = parseAmount(text, option);
  if (nanos === 0n) throw new InputError(`${option} must be above 0`);
  return nanos;
}

/** The same of a program: in words, or nanos. */
export function budgetIn(value: unknown): bigint {
  const nanos = typeof value === "string" ? parseAmount(value, "budget") : value;
  if (typeof nanos !== "bigint" || nanos <= 0n) throw new InputError('budget must be an amount above 0: "0.50", or nanos as bigint');
  return nanos;
}

export function parseSizeMib(text: string, option: string, least = 1): number {
  const size = parseMib(text);
  if (size === null || size < least) throw new InputError(`${option} '${text}' is not a size; write 512M or 2G`);
  return size;
}

export function parseCount(text: string, option: string, most: number): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) < 1 || Number(text) > most)
    throw new InputError(`${option} '${text}' must be a number from 1 to ${most}`);
  return Number(text);
}

const FUEL_PER_GIGA = 1_000_000_000n;

/** A whole number of giga-fuel (10^9), as fuel. */
export function parseGigaFuel(text: string, flag: string): bigint {
  return BigInt(parseCount(text, flag, 4_000_000_000)) * FUEL_PER_GIGA;
}

const BASIS_POINTS_MAX = 5_000;

/** `2.5%` or `2.5`: a part of what is paid, in basis points. */
export function parsePercent(text: string, option: string): number {
  const [, whole, fraction = ""] = /^(\d{1,3})(?:\.(\d{1,2}))?\s*%?$/.exec(text.trim()) ?? [];
  const points = whole === undefined ? Number.NaN : Number(whole) * 100 + Number(fraction.padEnd(2, "0"));
  if (!(points <= BASIS_POINTS_MAX)) throw new InputError(`${option} '${text}' is not a part of what is paid; write 2.5%, at most 50%`);
  return points;
}

/** Of an order. */
const CONDITIONS_MAX = 32;

/** The conditions as one text, checked. */
export function conditionsIn(
  typed: string,
  where: string,
): NonNullable<Extract<ReturnType<typeof parseConditions>, { ok: true }>["conditions"]> {
  const parsed = parseConditions(typed);
  if (!parsed.ok) throw new InputError(`${where}'${parsed.condition}': ${parsed.why}`);
  if (parsed.conditions.length > CONDITIONS_MAX)
    throw new InputError(`${where}has ${parsed.conditions.length} conditions: at most ${CONDITIONS_MAX}`);
  return parsed.conditions;
}

/** A size of memory or disk as people write it. */
export const mib = (size: number): string => (size % 1024 === 0 ? `${size / 1024}G` : `${size}M`);
export const shortId = (id: string): string => id.slice(0, 12);

/** The first letters of a lease's id, such as the API takes them. */
export const LEASE_ID = /^[0-9a-f]{4,64}$/;
