/** Domains of a Xen host under the contract of all drivers. Who controls the inputs: the customer (specification, files). */
import { carriedMib } from "../room-to-carry.ts";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { DRIVERS, invariant } from "@xenoservers/market";
import { domainOverheadMib, type Crypto } from "@xenoservers/protocol";
import {
  Domains,
  SPARE_MS,
  parseRanges,
  prune,
  sendsLive,
  publicAddresses,
  type Bootable,
  type CardRules,
  type ConsoleDaemon,
  type Domain,
  type DomainJob,
  type DomainKind,
  type DomainToken,
  type Gate,
  type XenHost,
} from "@xenoservers/guests";
import type { GuestDriver, GuestJob, GuestMoves, PreparedGuest, RunningGuest } from "../driver.ts";
import { DISK_BYTES_PER_SECOND_MAX } from "../disk-rates.ts";
import { refusedOr } from "../qemu/vm-ends.ts";
import { openGates, type BeyondGate, type EgressPolicy, type Gates } from "../qemu/vm-gates.ts";
import type { MachineJob, Work } from "../work.ts";
import { ArrivingDomain, type MakeDomain } from "./arriving-domain.ts";
import { stayingProblem } from "./domain-carry.ts";
import { runningDomain } from "./domain-guest.ts";
import { DomainSnapshots } from "./domain-snapshots.ts";
import { domainWorkProblem, neededForDomain } from "./domain-work.ts";

interface XenDriverOptions {
  host: XenHost;
  folder: string;
  /** Folders of domains that leases of an earlier daemon still use. */
  inUse: readonly string[];
  crypto: Crypto;
  /** Of each disk of a domain. */
  diskIops: number;
  /** For disks that are made of images once and kept. */
  imageCacheGib: number;
  /** Customers' own: room for all together, and how long each is kept. */
  snapshots: { gib: number; hours: number };
  egress: EgressPolicy;
  /** Where the record of guests' connections lies. */
  recordFolder: string;
  network?: BeyondGate;
  /** For tests: what holds the other side of consoles, in place of xenconsoled. */
  consoleDaemon?: ConsoleDaemon;
  log(what: string, facts: Record<string, unknown>): void;
}

const GIB = 1024 ** 3;
const KBIT_BYTES = 125;
/** Beside what the gate counts there are heads of packets, and answers to what comes in. */
const CARD_SHARE = 1.25;
/** Above it libxl takes no rate. */
const CARD_KBIT_MAX = 40_000_000;

const cardRules = ({ bytesPerSecondMax }: EgressPolicy): CardRules => ({
  kbitPerSecondMax: Math.min(CARD_KBIT_MAX, Math.ceil((bytesPerSecondMax / KBIT_BYTES) * CARD_SHARE)),
});

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

function machineOf(work: Work): MachineJob {
  invariant(work.kind === "machine", "work of another kind was refused when it came");
  return work.vm;
}

function jobOf({ lease, po, order, work, blobFile, signal }: GuestJob): DomainJob {
  const { spec, inputs, forgets = false } = machineOf(work);
  const spareMib = po.resources.memoryMib - spec.memoryMib - domainOverheadMib(spec);
  return { ...{ name: lease, customer: order.party, spec, inputs, forgets, spareMib, blobFile }, ...(signal ? { signal } : {}) };
}

/** What all domains of one server live off. */
interface Parts {
  cache: string;
  card: CardRules | null;
  emulates: boolean;
  domains: Domains;
  gates: Gates;
  kept: DomainSnapshots;
  /** Memory of its domains can be sent to another host while they run. */
  isLive: boolean;
}

async function openParts({ host, folder, inUse, snapshots, egress, log, ...options }: XenDriverOptions): Promise<Parts> {
  const { xl, kind, loader, stock, networkWhy } = host;
  const emulates = host.emulationWhy === null;
  const card = networkWhy === null ? cardRules(egress) : null;
  const cache = { folder: path.join(folder, "cache"), bytesMax: options.imageCacheGib * GIB };
  for (const each of [cache.folder, options.recordFolder]) await mkdir(each, { recursive: true, mode: 0o700 });
  const domains = new Domains({
    rates: { iopsMax: options.diskIops, bytesPerSecondMax: DISK_BYTES_PER_SECOND_MAX },
    ...{ xl, kind, loader, stock, card, emulates, cache, log, folder: path.join(folder, "domains") },
    ...(options.consoleDaemon ? { consoleDaemon: options.consoleDaemon } : {}),
  });
  await domains.open(inUse);
  const beyond = options.network ? { network: options.network } : {};
  const isPublic = publicAddresses(parseRanges(egress.allow));
  const gates = await openGates(options.recordFolder, { ...egress, isPublic, ...beyond }, log);
  const kept = new DomainSnapshots({ ...snapshots, folder: path.join(folder, "kept"), kind, log });
  return { cache: cache.folder, card, emulates, domains, gates, kept, isLive: sendsLive(host) };
}

/** Null where the job's domain may reach nothing. */
const gateOf = (gates: Gates, { lease, po, work, egressBytesUsed }: GuestJob): Gate | null =>
  gates.open({ lease, spec: machineOf(work).spec, egressMibMax: po.egressMibMax, egressBytesUsed });

const guestOf = (domain: Domain, { fuelMax, order, lease }: GuestJob, gate: Gate | null, { gates, kept, isLive }: Parts): RunningGuest =>
  runningDomain(domain, {
    ...{ fuelMax, monotonicMs, gates, gate, isLive },
    snapshot: (needHere) => kept.take(domain, { customer: order.party, lease }, needHere),
  });

async function prepared(parts: Parts, job: GuestJob): Promise<PreparedGuest> {
  const { domains, kept } = parts;
  const domain = await domains.prepare(await kept.found(jobOf(job), job.order.party)).catch((error: unknown) => {
    throw refusedOr(error);
  });
  return standing(parts, domain, job);
}

async function arriving({ domains }: Parts, kind: DomainKind, job: GuestJob): Promise<ArrivingDomain> {
  const make: MakeDomain = (from, blobFile, signal) => domains.prepare({ ...jobOf(job), blobFile, from, signal });
  return new ArrivingDomain({ folder: await domains.arrivingFolder(job.lease), kind, ordered: machineOf(job.work).spec, make });
}

/** As the other server left it. What arrived is not needed any more then: the domain has its own links to it. */
async function restored(parts: Parts, job: GuestJob, arrived: ArrivingDomain): Promise<PreparedGuest> {
  try {
    return standing(parts, await arrived.made(), job);
  } finally {
    await arrived.discard();
  }
}

const movesOf = (parts: Parts, kind: DomainKind, bootable: Bootable): GuestMoves => ({
  problemWith: (work) => stayingProblem(machineOf(work).spec, bootable),
  // xl sends memory six times at most while it runs, and it is saved where that fails; disk twice, images beside it
  carriedMib: (work, { po }) => carriedMib(machineOf(work).spec, po.resources, { kept: 1, sent: 10 }),
  arrive: (job) => arriving(parts, kind, job),
  async prepare(job, arrived) {
    invariant(arrived instanceof ArrivingDomain, "what arrived was put where this driver said");
    return restored(parts, job, arrived);
  },
  discard: (token) => parts.domains.discard(token as DomainToken),
});

/** A domain that stands still until it begins, or is let go. */
function standing(parts: Parts, domain: Domain, job: GuestJob): PreparedGuest {
  const { gates } = parts;
  return {
    token: domain.token,
    async begin() {
      const gate = gateOf(gates, job);
      try {
        const guest = guestOf(domain, job, gate, parts);
        if (domain.card) await gate?.start(domain.card.namespace, null);
        await domain.begin();
        return guest;
      } catch (error) {
        await gates.shut(gate);
        await domain.dispose();
        throw error;
      }
    },
    discard: () => domain.dispose(),
  };
}

export async function createXenDriver(options: XenDriverOptions): Promise<GuestDriver> {
  const {
    assurances,
    can: { console, network, breakpoints },
  } = DRIVERS.xen;
  const { crypto, log } = options;
  const { engine, kind, loader, stock } = options.host;
  const parts = await openParts(options);
  const { cache, card, emulates, domains, gates, kept } = parts;
  const bootable = { loader, stock, card, emulates };
  return {
    name: "xen",
    engine,
    sandbox: { strength: "strong", why: "" },
    capabilities: {
      ...{ console, network: network && card !== null, breakpoints },
      ...{ snapshots: true, screens: emulates, runs: false, images: false, filesInMemory: false },
    },
    assurances,
    holds: [],
    offered: () => ({ sandbox: "strong", vmEngine: engine }),
    problemWith: (work, ordered) =>
      work.kind === "machine" ? domainWorkProblem(crypto, ordered, work.vm, bootable) : "a machine was ordered, not a WebAssembly job",
    neededBlobs: async (work) => neededForDomain(machineOf(work)),
    isSegment: () => false,
    prepare: (job) => prepared(parts, job),
    moves: movesOf(parts, kind, bootable),
    async adopt(token, job) {
      const domain = await domains.adopt(token as DomainToken, machineOf(job.work).spec);
      const gate = gateOf(gates, job);
      const guest = guestOf(domain, job, gate, parts);
      try {
        if (domain.card && !domain.isOver) await gate?.start(domain.card.namespace, null);
      } catch (error) {
        log("a domain's network could not be taken up", { lease: job.lease, error: String(error) });
        await guest.kill();
      }
      return guest;
    },
    monotonicMs,
    makeRoom: () => prune(cache, 0, SPARE_MS),
    async close() {
      kept.close();
      domains.close();
      options.host.ready.close();
      await gates.close();
    },
  };
}
