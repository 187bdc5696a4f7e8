/** xenoserver.toml: what the owner gives, to whom, at what price. Every key has a default; unknown keys are errors. */
import { readFile } from "node:fs/promises";
import { FUEL_PER_GUEST_SECOND, type PriceVector, type Resources } from "@xenoservers/market";
import { parse } from "smol-toml";
import type { z } from "zod";
import { CONFIG_KEYS, zConfig, type ServerConfig } from "./config-schema.ts";
import { nearestKey } from "./config-values.ts";
import { clockShown, hoursIn, isWithin } from "./hours.ts";

export type { ServerConfig } from "./config-schema.ts";

const PER_HOUR = 3_600n;
/** In an hour of a guest's clock. */
const GIGA_FUEL_PER_HOUR = (FUEL_PER_GUEST_SECOND * PER_HOUR) / 1_000_000_000n;

/**
 * Owners think in prices per hour; offers state nanos per second and per 10^9 fuel, rounded up so that the owner never earns less than
 * asked.
 */
export function priceOf({ price }: ServerConfig): PriceVector {
  const perSecond = (hourly: bigint): bigint => (hourly + PER_HOUR - 1n) / PER_HOUR;
  return {
    vcpuNanosPerSecond: perSecond(price.vcpu_hour),
    memoryGibNanosPerSecond: perSecond(price.memory_gib_hour),
    diskGibNanosPerSecond: perSecond(price.disk_gib_hour),
    egressGibNanos: price.egress_gib,
    gigaFuelNanos: (price.fuel_hour + GIGA_FUEL_PER_HOUR - 1n) / GIGA_FUEL_PER_HOUR,
  };
}

export function capacityOf({ capacity }: ServerConfig, most: Resources): Resources {
  return {
    vcpu: Math.min(capacity.vcpu ?? most.vcpu, most.vcpu),
    memoryMib: Math.min(capacity.memory ?? most.memoryMib, most.memoryMib),
    diskMib: Math.min(capacity.disk ?? most.diskMib, most.diskMib),
  };
}

/** Throws in words, with the name of the file. */
export function parseServerConfig(text: string, file: string): ServerConfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (cause) {
    throw new Error(`${file} is not TOML: ${(cause as Error).message.split("\n")[0]}`, { cause });
  }
  const parsed = zConfig.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Error(`${file}: ${parsed.error.issues.flatMap((issue) => problemsOf(issue, value)).join("; ")}`);
}

const FOUND_CHARS_MAX = 60;

/** What stands in the file at this place. */
function foundAt(value: unknown, path: readonly PropertyKey[]): string {
  const found = path.reduce<unknown>((at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined), value);
  const text = typeof found === "bigint" ? String(found) : (JSON.stringify(found) ?? "nothing");
  return text.length > FOUND_CHARS_MAX ? `${text.slice(0, FOUND_CHARS_MAX)}…` : text;
}

/** Each names its key, what was found and what to do. */
function problemsOf(issue: z.core.$ZodIssue, value: unknown): string[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => {
      const name = [...path, key].join(".");
      const meant = nearestKey(name, CONFIG_KEYS);
      return `${name.slice(0, FOUND_CHARS_MAX)}: there is no such key${meant === null ? "" : `; is ${meant} meant?`}`;
    });
  const said =
    issue.code === "invalid_key"
      ? "a label's name has at most 32 small letters, digits and -"
      : `${foundAt(value, issue.path)}: ${issue.message}`;
  return [`${path.join(".") || "the file"}: ${said}`];
}

/** A missing file means all defaults. */
export async function readServerConfig(file: string): Promise<ServerConfig> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return parseServerConfig(text, file);
}

/** Whether the owner lists the machine at this time; no `hours` = always. */
export function isListedAt({ policy }: ServerConfig, date: Date): boolean {
  if (policy.hours === undefined) return true;
  const hours = hoursIn(policy.hours);
  return hours.ok && isWithin(hours.spans, date, policy.time_zone);
}

/** When the owner lists the machine, and by which clock, in words; null: always. */
export function hoursShown({ policy }: ServerConfig, date: Date): string | null {
  if (policy.hours === undefined) return null;
  return `${[policy.hours].flat().join(", ")} (now ${clockShown(date, policy.time_zone)})`;
}
