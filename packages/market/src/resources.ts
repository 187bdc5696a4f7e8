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

/** Price of each resource per second, of 10^9 fuel, and of a GiB that a guest sends or receives, in nanos. */
export interface PriceVector {
  vcpuNanosPerSecond: bigint;
  memoryGibNanosPerSecond: bigint;
  diskGibNanosPerSecond: bigint;
  gigaFuelNanos: bigint;
  egressGibNanos: bigint;
}

/** A price as it crosses a wire: decimal strings of nanos. */
export const priceVectorOf = (price: { [K in keyof PriceVector]: string }): PriceVector => ({
  vcpuNanosPerSecond: BigInt(price.vcpuNanosPerSecond),
  memoryGibNanosPerSecond: BigInt(price.memoryGibNanosPerSecond),
  diskGibNanosPerSecond: BigInt(price.diskGibNanosPerSecond),
  gigaFuelNanos: BigInt(price.gigaFuelNanos),
  egressGibNanos: BigInt(price.egressGibNanos),
});

export const wirePriceOf = (price: PriceVector): { [K in keyof PriceVector]: string } => ({
  vcpuNanosPerSecond: price.vcpuNanosPerSecond.toString(),
  memoryGibNanosPerSecond: price.memoryGibNanosPerSecond.toString(),
  diskGibNanosPerSecond: price.diskGibNanosPerSecond.toString(),
  gigaFuelNanos: price.gigaFuelNanos.toString(),
  egressGibNanos: price.egressGibNanos.toString(),
});

export const sameResources = (one: Resources, other: Resources): boolean => RESOURCE_KEYS.every((key) => one[key] === other[key]);

export const plus = (one: Resources, other: Resources): Resources => ({
  vcpu: one.vcpu + other.vcpu,
  memoryMib: one.memoryMib + other.memoryMib,
  diskMib: one.diskMib + other.diskMib,
});

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

const BYTES_PER_MIB = 1024n * 1024n;

/** The price of bytes that crossed a guest's network, rounded down once. */
export function egressCostNanos({ egressGibNanos }: PriceVector, bytes: bigint): bigint {
  return (bytes * egressGibNanos) / (BYTES_PER_MIB * MIB_PER_GIB);
}

export const egressBytesMax = (egressMibMax: number): bigint => BigInt(egressMibMax) * BYTES_PER_MIB;

/** The longest time in ms that `budget` surely covers; Number.MAX_SAFE_INTEGER for a free offer. */
export function affordableMs(resources: Resources, price: PriceVector, budget: bigint): number {
  const rate = scaledRate(resources, price);
  if (rate === 0n) return Number.MAX_SAFE_INTEGER;
  const ms = (budget * MIB_PER_GIB * 1000n) / rate;
  return ms > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(ms);
}
