/** What people type on the command line, read strictly. */
import { existsSync } from "node:fs";
import { SCOPES, type Scope } from "@xenoservers/market";
import { visible, zAccount, zParty, zServer, type Witness } from "@xenoservers/protocol";
import { AFTER_MAX, LEASE_ID, parseCount, parseDurationMs } from "@xenoservers/sdk";
import { UserError } from "../output/ui.ts";

/** What ssh calls a machine: a host among others, by its lease. */
const HOST_PREFIX = "xeno-";

const leaseIn = (text: string): string => (text.startsWith(HOST_PREFIX) ? text.slice(HOST_PREFIX.length) : text);

/** A file of that name comes first. */
export const parseLeaseOrFile = (text: string): string => (LEASE_ID.test(leaseIn(text)) && !existsSync(text) ? leaseIn(text) : text);

export function parseLease(text: string): string {
  const id = leaseIn(text);
  if (LEASE_ID.test(id)) return id;
  throw new UserError(
    `'${visible(text)}' is no lease: write the first letters of its id, four or more of 0-9 and a-f (xeno ps --all lists yours)`,
  );
}

/** `LEASE,LEASE…` */
export function parseLeases(text: string, option: string): string[] {
  const leases = text.split(",").map((each) => parseLease(each.trim()));
  if (leases.length <= AFTER_MAX) return leases;
  throw new UserError(`${option} names at most ${AFTER_MAX} leases`);
}

export function parseBatch(text: string): string {
  if (/^[0-9a-f]{64}$/.test(text)) return text;
  throw new UserError(`'${visible(text)}' is no batch: write its whole id, 64 of 0-9 and a-f, as xeno batch open printed it`);
}

const LABEL_MAX = 64;
const CONTROL = /\p{C}/u;
/** Of leases and keys. */
export function parseLabel(text: string, option: string): string {
  if (text.length <= LABEL_MAX && !CONTROL.test(text)) return text;
  throw new UserError(
    `${option} '${visible(text.slice(0, LABEL_MAX))}' is no label: at most ${LABEL_MAX} letters, without control characters`,
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

/** ID@HOST:PORT of a server that leases go to. */
export function parseMoveTarget(text: string, option: string): { server: string; host: string; port: number } {
  const at = text.indexOf("@");
  if (at < 0) throw new UserError(`${option} is ID@HOST:PORT: the other server's id (xeno server status) and its [move] listen`);
  return { server: parseServer(text.slice(0, at)), ...parseHostPort(text.slice(at + 1), option) };
}

/** How long something is kept. */
export const durationFrom =
  (leastMs: number, least: string) =>
  (text: string, option: string): number => {
    const ms = parseDurationMs(text, option);
    if (ms < leastMs) throw new UserError(`${option} '${text}' is too short: at least ${least}`);
    return ms;
  };

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
