/**
 * What may stand in xenoserver.toml: each key with its default and what its value means. Values that could be written and cannot be meant
 * (a size without a unit, an hour that no day has, a port of mail) are problems here, in words that say what to write instead. Who controls
 * the inputs: the owner of the machine.
 */
import { parseMib, parseMoney } from "@xenoservers/market";
import { DOMAIN_KINDS, MAIL_PORTS } from "@xenoservers/guests";
import { zFeeBasisPoints, zParty } from "@xenoservers/protocol";
import { z } from "zod";
import { addressRange, isGiven, isWithin } from "../drivers/xapi/address-range.ts";
import { isPoolUrl, rangesProblem } from "./config-values.ts";
import { parseHostPort } from "../move/move-port.ts";
import { HOURS_LIKE, hoursIn, isTimeZone } from "./hours.ts";

const MEMORY_MIB_MIN = 64;
const DISK_MIB_MIN = 16;

const saying = (says: string) => ({ error: says });
const flag = () => z.boolean(saying("write true or false"));

function whole(least: number, most: number, unit = "") {
  const says = saying(`write a whole number from ${least} to ${most}${unit}`);
  return z.int(says).min(least, says).max(most, says);
}

function number(least: number, most: number, unit = "") {
  const says = saying(`write a number from ${least} to ${most}${unit}`);
  return z.number(says).min(least, says).max(most, says);
}

const AMOUNT = 'write an amount of the market\'s currency from 0 to 999999.999999999, such as "0.02"';
const zAmount = z.union([z.string(), z.number()], saying(AMOUNT)).transform((value, context) => {
  const nanos = parseMoney(String(value));
  if (nanos === null) context.addIssue({ code: "custom", message: AMOUNT });
  return nanos ?? 0n;
});

/** A bare number could be anything: of gigabytes somebody meant, of megabytes it was taken for. */
function size(leastMib: number) {
  const like = 'such as "4G" or "512M"';
  return z.unknown().transform((value, context) => {
    const text = String(value);
    const mib = typeof value === "string" ? parseMib(text) : null;
    const problem =
      typeof value === "number" || /^[\d.]+$/.test(text)
        ? `it has no unit: write "${text}G" or "${text}M"`
        : mib === null
          ? `write a size with its unit, ${like}`
          : mib < leastMib
            ? `no job fits into so little: write "${leastMib}M" or more, ${like}`
            : null;
    if (problem !== null) context.addIssue({ code: "custom", message: problem });
    return mib ?? 0;
  });
}

const zHours = z
  .union([z.string(), z.array(z.string()).min(1, saying(`write times, ${HOURS_LIKE}`))], saying(`write times, ${HOURS_LIKE}`))
  .superRefine((written, context) => {
    const hours = hoursIn(written);
    if (!hours.ok) context.addIssue({ code: "custom", message: hours.why });
  });

const zTimeZone = z
  .string(saying('write a time zone, such as "Europe/Berlin" or "UTC"'))
  .refine(isTimeZone, saying('there is no such time zone: write one such as "Europe/Berlin" or "UTC"'));

const PORTS = whole(1, 65_535);
const zPorts = z
  .array(
    PORTS.refine((port) => !MAIL_PORTS.includes(port), saying("a port of mail is never open to guests: leave it out")),
    saying("write a list of ports, such as [80, 443]"),
  )
  .max(64, saying("write at most 64 ports"));

const zRanges = z
  .array(z.string(), saying('write a list of ranges of addresses, such as ["10.1.2.3/32"]'))
  .superRefine((ranges, context) => {
    const message = rangesProblem(ranges);
    if (message !== null) context.addIssue({ code: "custom", message });
  });

const GIB_MAX = 1_048_576;
const gib = () => number(0, GIB_MAX, " (GiB)");

const KEPT_CUSTOMER_GIB = 5;

const zPoolUrl = z
  .string(saying('write the address of a host of the pool, such as "https://10.0.0.2"'))
  .refine(isPoolUrl, saying('write the address of a host of the pool, such as "https://10.0.0.2", without a name or a password in it'));
const FINGERPRINTS = "write the SHA-256 fingerprint of each host's certificate: openssl x509 -noout -fingerprint -sha256";
const RANGE = 'write addresses of one network that are its leases\' alone, such as "10.9.0.16-10.9.0.250/24"';
const DNS = "write the addresses of name servers";
const zFingerprint = z.string(saying(FINGERPRINTS)).regex(/^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i, saying(FINGERPRINTS));

const LISTEN = 'write an address of this machine and a port, such as "10.0.0.5:4433" or "[fd00::5]:4433"';

const SECTIONS = {
  price: {
    fuel_hour: zAmount.default(20_000_000n),
    vcpu_hour: zAmount.default(20_000_000n),
    memory_gib_hour: zAmount.default(5_000_000n),
    disk_gib_hour: zAmount.default(500_000n),
    egress_gib: zAmount.default(20_000_000n),
  },
  capacity: {
    vcpu: whole(1, 1_024).optional(),
    memory: size(MEMORY_MIB_MIN).optional(),
    disk: size(DISK_MIB_MIN).optional(),
  },
  policy: {
    allowed_parties: z.array(zParty, saying('write a list of party ids, such as ["p_…"]')).default([]),
    max_lease_hours: number(0.001, 8_760, " (hours)").default(24),
    hours: zHours.optional(),
    /** By whose clocks `hours` go; without it: this machine's. */
    time_zone: zTimeZone.optional(),
    allow_weak_sandbox: flag().default(false),
    /**
     * The most of what customers pay that may go to the broker, in hundredths of a percent; without it: what the market takes, or has
     * announced.
     */
    fee_max_basis_points: z.optional(zFeeBasisPoints),
    /** What virtual machines may reach where their orders say so too. */
    egress: z.enum(["none", "names", "public"], saying('write "none", "names" or "public"')).default("none"),
    egress_ports: zPorts.default([80, 443]),
    /** Exceptions from "no private address", such as a mirror of yours: ["10.1.2.3/32"]. */
    egress_allow: zRanges.default([]),
    egress_gib_month: gib().default(100),
    egress_mbit: number(0.1, 1_000_000, " (Mbit/s)").default(100),
    /** Images by address, fetched from public addresses only. */
    fetch_images: flag().default(false),
  },
  vm: {
    enabled: flag().default(true),
    disk_iops: whole(10, 10_000_000).default(2_000),
    /** For images that customers send or name, and as much again for what is built of them. */
    image_cache_gib: gib().default(20),
    /** Booted guests that are kept to start others from; 0 for none. */
    snapshots: whole(0, 64).default(4),
    /** Customers' own snapshots, all together; no customer may have more than half. */
    customer_snapshots_gib: gib().default(20),
    customer_snapshots_hours: number(0.01, 8_760, " (hours)").default(72),
  },
  xen: {
    /** In dom0 of a Xen host: offer domains, and nothing but them. */
    enabled: flag().default(true),
    guests: z.enum(DOMAIN_KINDS, saying('write "pvh" or "pv"')).default("pvh"),
  },
  xapi: {
    /** A pool's address, https://HOST: with it, this server leases the pool's machines, and nothing of the machine it runs on. */
    url: zPoolUrl.optional(),
    user: z.string(saying("write the user that this server logs in as")).max(128).default("root"),
    /** Read by its owner alone (0600). */
    password_file: z.string(saying("write the name of the file that holds the password")).optional(),
    /** SHA-256 of each host's certificate. */
    fingerprints: z.array(zFingerprint, saying(FINGERPRINTS)).max(256, saying("write at most 256 fingerprints")).default([]),
    /** uuid or name of the storage repository for images and machines: no other is used. */
    sr: z.string(saying("write the uuid or the name of a storage repository")).optional(),
    /** How disks boot: as machines of their own, or by pygrub, with a text console. */
    boot: z.enum(["hvm", "pv"], saying('write "hvm" or "pv"')).default("hvm"),
    /** Customers' images kept as templates; no customer may have more than half. */
    image_gib: gib().default(50),
    /** Customers' own snapshots, all together; no customer may have more than half. */
    snapshots_gib: gib().default(0),
    snapshots_hours: number(0.01, 8_760, " (hours)").default(72),
    /** uuid or name of the one network that machines may have a card on, where policy.egress is public: it is the owner's to bound. */
    network: z.string(saying("write the uuid or the name of a network")).optional(),
    network_addresses: z
      .string(saying(RANGE))
      .refine((text) => addressRange(text) !== null, RANGE)
      .optional(),
    network_gateway: z.ipv4(saying("write the address of the network's gateway")).optional(),
    network_dns: z
      .array(z.ipv4(saying(DNS)), saying(DNS))
      .max(3, saying("write at most 3 name servers"))
      .default([]),
  },
  move: {
    /** Where other servers of this owner hand leases over, such as "10.0.0.5:4433"; without it: nowhere. */
    listen: z
      .string(saying(LISTEN))
      .refine((text) => parseHostPort(text) !== null, LISTEN)
      .optional(),
  },
  disk: {
    /** Kept of ended leases for who may ask for it: all together, and each customer's. */
    kept_gib: gib().default(20),
    kept_customer_gib: gib().optional(),
    /** What customers brought, for their next leases: all together, of which half is one customer's at most, and since its last use. */
    inputs_gib: gib().default(10),
    inputs_hours: number(0.01, 8_760, " (hours)").default(24),
    /** New leases are refused where less is free. */
    left_free_gib: gib().default(1),
  },
};

const zDisk = z
  .strictObject(SECTIONS.disk)
  .superRefine(({ kept_gib, kept_customer_gib = 0 }, context) => {
    if (kept_customer_gib > kept_gib)
      context.addIssue({ code: "custom", path: ["kept_customer_gib"], message: `it is more than kept_gib, ${kept_gib}, of all together` });
  })
  .transform(({ kept_customer_gib, ...disk }) => ({
    ...disk,
    kept_customer_gib: kept_customer_gib ?? Math.min(KEPT_CUSTOMER_GIB, disk.kept_gib),
  }));

const zXapi = z.strictObject(SECTIONS.xapi).superRefine((xapi, context) => {
  const { url, password_file, sr, fingerprints, network, network_addresses, network_gateway } = xapi;
  if (url === undefined) return;
  const range = addressRange(network_addresses ?? "");
  if (network !== undefined && range === null)
    context.addIssue({ code: "custom", path: ["network_addresses"], message: `a network needs it: ${RANGE}` });
  else if (range !== null && (network_gateway === undefined || !isWithin(range, network_gateway) || isGiven(range, network_gateway)))
    context.addIssue({
      code: "custom",
      path: ["network_gateway"],
      message: "write a gateway of network_addresses' network that is none of them",
    });
  const missing: Record<string, boolean> = { password_file: password_file === undefined, sr: sr === undefined };
  for (const [key, isMissing] of Object.entries({ ...missing, fingerprints: fingerprints.length === 0 }))
    if (isMissing) context.addIssue({ code: "custom", path: [key], message: "a pool needs it (docs/xcp-ng.md)" });
});

/** An offer has at most 16 (protocol's zLabels), and one is what the server says itself. */
const LABELS_OF_OWNER_MAX = 15;
const LABEL_NAME = saying("a label's name has at most 32 small letters, digits and -");
const LABEL = saying("write at most 64 letters, digits, dots, colons, _ and -");

export const zConfig = z.strictObject({
  price: z.strictObject(SECTIONS.price).prefault({}),
  capacity: z.strictObject(SECTIONS.capacity).prefault({}),
  policy: z.strictObject(SECTIONS.policy).prefault({}),
  vm: z.strictObject(SECTIONS.vm).prefault({}),
  xen: z.strictObject(SECTIONS.xen).prefault({}),
  xapi: zXapi.prefault({}),
  move: z.strictObject(SECTIONS.move).prefault({}),
  disk: zDisk.prefault({}),
  labels: z
    .record(z.string().regex(/^[a-z0-9-]{1,32}$/, LABEL_NAME), z.string(LABEL).regex(/^[A-Za-z0-9._:-]{1,64}$/, LABEL))
    .refine((labels) => Object.keys(labels).length <= LABELS_OF_OWNER_MAX, `at most ${LABELS_OF_OWNER_MAX} labels`)
    .default({}),
  pool: whole(0, 64).default(2),
  warm: whole(0, 256).default(8),
  drain_seconds: whole(0, 86_400).default(30),
});
export type ServerConfig = z.infer<typeof zConfig>;

/** What is written as [section]. */
export const SECTION_NAMES = [...Object.keys(SECTIONS), "labels"].filter(
  (name): name is keyof typeof SECTIONS | "labels" => name in zConfig.shape,
);

/** Every key that there is, with its section. */
export const CONFIG_KEYS: readonly string[] = [
  ...Object.keys(zConfig.shape),
  ...Object.entries(SECTIONS).flatMap(([section, shape]) => Object.keys(shape).map((key) => `${section}.${key}`)),
];
