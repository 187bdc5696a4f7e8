/** xenoserver.toml: what the owner gives, to whom, at what price. Every key has a default; unknown keys are errors. */
import { readFile } from "node:fs/promises";
import { FUEL_PER_GUEST_SECOND, parseMib, parseMoney, type PriceVector, type Resources } from "@xenoservers/market";
import { zFeeBasisPoints, zParty } from "@xenoservers/protocol";
import { parse } from "smol-toml";
import { z } from "zod";

const zAmount = z.union([z.string(), z.number()]).transform((value, context) => {
  const nanos = parseMoney(String(value));
  if (nanos === null) context.addIssue({ code: "custom", message: "must be an amount per hour, such as 0.02" });
  return nanos ?? 0n;
});
const zSize = z.union([z.string(), z.number()]).transform((value, context) => {
  const mib = parseMib(String(value));
  if (mib === null) context.addIssue({ code: "custom", message: "must be a size, such as 4G or 512M" });
  return mib ?? 0;
});

const zConfig = z.strictObject({
  price: z
    .strictObject({
      fuel_hour: zAmount.default(20_000_000n),
      vcpu_hour: zAmount.default(20_000_000n),
      memory_gib_hour: zAmount.default(5_000_000n),
      disk_gib_hour: zAmount.default(500_000n),
      egress_gib: zAmount.default(20_000_000n),
    })
    .prefault({}),
  capacity: z.strictObject({ vcpu: z.int().min(1).optional(), memory: zSize.optional(), disk: zSize.optional() }).prefault({}),
  policy: z
    .strictObject({
      allowed_parties: z.array(zParty).default([]),
      max_lease_hours: z.number().min(0.001).max(8760).default(24),
      hours: z
        .string()
        .regex(/^\d{2}:\d{2}-\d{2}:\d{2}$/)
        .optional(),
      allow_weak_sandbox: z.boolean().default(false),
      /**
       * The most of what customers pay that may go to the broker, in hundredths of a percent; without it: what the market takes, or has
       * announced.
       */
      fee_max_basis_points: zFeeBasisPoints.optional(),
      /** What virtual machines may reach where their orders say so too. */
      egress: z.enum(["none", "names", "public"]).default("none"),
      egress_ports: z.array(z.int().min(1).max(65_535)).max(64).default([80, 443]),
      /** Exceptions from "no private address", such as a mirror of yours: ["10.1.2.3/32"]. */
      egress_allow: z.array(z.string()).default([]),
      egress_gib_month: z.number().min(0).default(100),
      egress_mbit: z.number().min(0.1).default(100),
      /** Images by address, fetched from public addresses only. */
      fetch_images: z.boolean().default(false),
    })
    .prefault({}),
  vm: z
    .strictObject({
      enabled: z.boolean().default(true),
      disk_iops: z.int().min(10).default(2_000),
      /** For images that customers send or name, and as much again for what is built of them. */
      image_cache_gib: z.number().min(0).default(20),
      /** Booted guests that are kept to start others from; 0 for none. */
      snapshots: z.int().min(0).max(64).default(4),
      /** Customers' own snapshots, all together; no customer may have more than half. */
      customer_snapshots_gib: z.number().min(0).default(20),
      customer_snapshots_hours: z.number().min(0.01).max(8_760).default(72),
    })
    .prefault({}),
  disk: z
    .strictObject({
      /** Kept of ended leases for who may ask for it: all together, and each customer's. */
      kept_gib: z.number().min(0).default(20),
      kept_customer_gib: z.number().min(0).default(5),
      /** New leases are refused where less is free. */
      left_free_gib: z.number().min(0).default(1),
    })
    .prefault({}),
  labels: z.record(z.string().regex(/^[a-z0-9-]{1,32}$/), z.string().regex(/^[A-Za-z0-9._:-]{1,64}$/)).default({}),
  pool: z.int().min(0).max(64).default(2),
  drain_seconds: z.int().min(0).max(86_400).default(30),
});
export type ServerConfig = z.infer<typeof zConfig>;

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
  const issue = parsed.error.issues[0]!;
  const keys = issue.code === "unrecognized_keys" ? issue.keys : [];
  throw new Error(`${file}: ${[...issue.path, ...keys].join(".") || "the file"}: ${issue.message}`);
}

/** A missing file means all defaults. */
export async function readServerConfig(file: string): Promise<ServerConfig> {
  const text = await readFile(file, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return parseServerConfig(text, file);
}

/** Whether the owner lists the machine at this time of day (local time); no `hours` = always. */
export function isListedAt({ policy }: ServerConfig, date: Date): boolean {
  if (policy.hours === undefined) return true;
  const [from, to] = policy.hours.split("-").map((time) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))) as [number, number];
  const now = date.getHours() * 60 + date.getMinutes();
  return from <= to ? now >= from && now < to : now >= from || now < to;
}
