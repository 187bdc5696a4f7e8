/** An owner's offer, in every version that is read. Amounts and times are as in `schemas.ts`. */
import { ASSURANCES, DRIVER_NAMES, HOLDS, HOLDS_OF_OFFER_2 } from "@xenoservers/market";
import * as z from "zod/mini";
import { base, zFeeBasisPoints, zKey, zLabels, zMs, zParty, zPrice, zResources, zServer, zTime, zTimings, zWord } from "./parts.ts";

const FIRST = {
  ...base,
  owner: zParty,
  server: zServer,
  sequence: z.int().check(z.gte(1)),
  validUntil: zTime,
  resources: zResources,
  drivers: z.array(z.enum(DRIVER_NAMES)).check(z.minLength(1), z.maxLength(4)),
  assurances: z.array(z.enum(ASSURANCES)).check(z.minLength(1), z.maxLength(4)),
  labels: zLabels,
  price: zPrice,
  maxLeaseMs: zMs,
  cpuScore: z.int().check(z.gte(0), z.lte(1_000_000)),
  sandbox: z.enum(["strong", "weak"]),
  /** How virtual machines run: by hardware, emulated in software, or not at all. */
  accel: z.enum(["kvm", "emulated", "none"]),
  /** Of one core as a virtual machine's guest sees it, in the unit of cpuScore; 0 where none can run. */
  vmScore: z.int().check(z.gte(0), z.lte(1_000_000)),
  /** What holds a virtual machine to its share: control groups (version 2 or 1), or only its process's own limits. */
  limits: z.enum(["cgroup2", "cgroup1", "process"]),
  egress: z.enum(["none", "names", "public"]),
  /** Whether the server itself fetches images from public addresses. */
  fetches: z.boolean(),
  /** The exact QEMU of deterministic machines; empty where none can run. */
  vmEngine: zWord,
  allowedParties: z.array(zParty).check(z.maxLength(100)),
  engine: zWord,
  /** The most of its pay that it leaves to the broker. */
  feeBasisPointsMax: zFeeBasisPoints,
  timings: zTimings,
  channelKey: zKey,
};

/** In the order of the list, each once: the same is said in the same bytes. */
const heldBy = <T extends string>(words: readonly T[]) =>
  z
    .array(z.enum(words))
    .check(
      z.refine((held) => held.every((each, i) => i === 0 || words.indexOf(each) > words.indexOf(held[i - 1] ?? each)), "must be in order"),
    );

/** What holds guests, by driver. */
const holds = <T extends string>(words: readonly T[]) => z.partialRecord(z.enum(DRIVER_NAMES), heldBy(words));

export const zOffer = z.strictObject({ ...FIRST, holds: holds(HOLDS) });

/** Version 2 knew no bound on guests' files. */
export const zOffer2 = z.strictObject({ ...FIRST, holds: holds(HOLDS_OF_OFFER_2) });

/** Version 1 said nothing of what holds guests. */
export const zOffer1 = z.pipe(
  z.strictObject(FIRST),
  z.transform((offer): z.infer<typeof zOffer> => ({ ...offer, holds: {} })),
);
