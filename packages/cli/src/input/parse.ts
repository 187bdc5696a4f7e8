/** What people type on the command line, read strictly. */
import { SCOPES, parseDuration, parseMib, parseMoney, type Scope } from "@xenoservers/market";
import { visible, zAccount, zParty, zServer, type Witness } from "@xenoservers/protocol";
import { UserError } from "../output/ui.ts";

export function parseDurationMs(text: string, option: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new UserError(`${option} '${text}' is not a duration; write 90s, 10m, 2h or 1d`);
  return ms;
}

/** The first letters of a lease's id, such as the API takes them. */
export const LEASE_ID = /^[0-9a-f]{4,64}$/;
export function parseLease(text: string): string {
  if (LEASE_ID.test(text)) return text;
  throw new UserError(
    `'${visible(text)}' is no lease: write the first letters of its id, four or more of 0-9 and a-f (xeno ps --all lists yours)`,
  );
}

export function parseParty(text: string): string {
  if (zParty.safeParse(text).success) return text;
  throw new UserError(`'${visible(text)}' is no party: write its whole id, p_ and 40 digits (xeno whoami shows one's own)`);
}

export function parseServer(text: string): string {
  if (zServer.safeParse(text).success) return text;
  throw new UserError(`'${visible(text)}' is no server: write its whole id, s_ and 40 digits (xeno server status shows it)`);
}

/** How long something is kept. */
export const durationFrom =
  (leastMs: number, least: string) =>
  (text: string, option: string): number => {
    const ms = parseDurationMs(text, option);
    if (ms < leastMs) throw new UserError(`${option} '${text}' is too short: at least ${least}`);
    return ms;
  };

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
  if (!/^\d{1,10}$/.test(text) || Number(text) < 1 || Number(text) > most)
    throw new UserError(`${option} '${text}' must be a number from 1 to ${most}`);
  return Number(text);
}

/** For `value`: a number up to so many. */
export const countTo =
  (most: number) =>
  (text: string, option: string): number =>
    parseCount(text, option, most);

const LISTED_MAX = 1_000_000;
/** How much of a list; null: all of it. */
export const countOrAll = (text: string, option: string): number | null => (text === "all" ? null : parseCount(text, option, LISTED_MAX));

const PORT_MAX = 65_535;
/** 0 is any free one. */
export const parsePort = (text: string, option: string): number => (text === "0" ? 0 : parseCount(text, option, PORT_MAX));

/** HOST:PORT; a host with colons stands in brackets. */
export function parseHostPort(text: string, option: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) throw new UserError(`${option} is HOST:PORT, such as 10.0.0.5:7401`);
  return { host, port: parsePort(port, option) };
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
  if (!(points <= BASIS_POINTS_MAX)) throw new UserError(`${option} '${text}' is not a part of what is paid; write 2.5%, at most 50%`);
  return points;
}

/** A day or a moment, in UTC where no zone is said. */
export function parseTime(text: string, option: string): number {
  const [, day, time = "00:00", zone = "Z"] =
    /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text.trim()) ?? [];
  const at = day === undefined ? Number.NaN : Date.parse(`${day}T${time}${zone}`);
  if (Number.isNaN(at)) throw new UserError(`${option} '${text}' is no time; write 2026-12-01 or 2026-12-01T14:30Z`);
  return at;
}

const isScope = (text: string): text is Scope => SCOPES.some((scope) => scope === text);

/** `read,spend`, or with bars as help shows them. */
export function parseScopes(text: string, option: string): Scope[] {
  const scopes = text.split(/[,|\s]+/).filter((each) => each !== "");
  const wrong = scopes.find((each) => !isScope(each));
  if (wrong !== undefined || scopes.length === 0)
    throw new UserError(`${option} '${wrong ?? text}' is no scope; there are ${SCOPES.join(", ")}`);
  return [...new Set(scopes.filter(isScope))];
}

export const isAccount = (text: string): boolean => zAccount.safeParse(text).success;

/** `NAME=KEY`, as `xeno witness` prints it. */
export function parseWitness(text: string): Witness {
  const [, name, key] = /^([a-z0-9.-]{1,64})=([0-9a-f]{64})$/.exec(text) ?? [];
  if (name === undefined || key === undefined)
    throw new UserError(`the witness '${text.slice(0, 100)}' must be NAME=KEY, as xeno witness prints it`);
  return { name, key };
}
