/** What a lease reserves on a server and what an offer has to give. Integers; the units stand in the names. */
export interface Resources {
  vcpu: number;
  memoryMib: number;
  diskMib: number;
}

export const RESOURCE_KEYS = ["vcpu", "memoryMib", "diskMib"] as const satisfies readonly (keyof Resources)[];

export function fitsWithin(wanted: Resources, available: Resources): boolean {
  return RESOURCE_KEYS.every((key) => wanted[key] <= available[key]);
}

/** Price of each resource per second, and of 10^9 fuel, in nanos. */
export interface PriceVector {
  vcpuNanosPerSecond: bigint;
  memoryGibNanosPerSecond: bigint;
  diskGibNanosPerSecond: bigint;
  gigaFuelNanos: bigint;
}

const MIB_PER_GIB = 1024n;

/** Rate times 1024, in nanos per second: kept whole so that rounding happens once per lease. */
function scaledRate(resources: Resources, price: PriceVector): bigint {
  return (
    BigInt(resources.vcpu) * MIB_PER_GIB * price.vcpuNanosPerSecond +
    BigInt(resources.memoryMib) * price.memoryGibNanosPerSecond +
    BigInt(resources.diskMib) * price.diskGibNanosPerSecond
  );
}

/** The price of holding `resources` for `durationMs`, rounded down once (PROTOCOL section 6). */
export function costNanos(resources: Resources, price: PriceVector, durationMs: number): bigint {
  return (scaledRate(resources, price) * BigInt(durationMs)) / (MIB_PER_GIB * 1000n);
}

/** The longest time in ms that `budget` surely covers; Number.MAX_SAFE_INTEGER for a free offer. */
export function affordableMs(resources: Resources, price: PriceVector, budget: bigint): number {
  const rate = scaledRate(resources, price);
  if (rate === 0n) return Number.MAX_SAFE_INTEGER;
  const ms = (budget * MIB_PER_GIB * 1000n) / rate;
  return ms > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(ms);
}
