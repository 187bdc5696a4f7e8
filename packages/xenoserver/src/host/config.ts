/** xenoserver.toml: what the owner gives, to whom, at what price. Every key has a default; unknown keys are errors. */
import { FUEL_PER_GUEST_SECOND, type PriceVector, type Resources } from "@xenoservers/market";
import { parseSettings, readSettings } from "@xenoservers/protocol/settings-file";
import { CONFIG_KEYS, zConfig, type ServerConfig } from "./config-schema.ts";
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
export const parseServerConfig = (text: string, file: string): ServerConfig => parseSettings(zConfig, CONFIG_KEYS, text, file);

/** A missing file means all defaults. */
export const readServerConfig = (file: string): Promise<ServerConfig> => readSettings(zConfig, CONFIG_KEYS, file);

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
