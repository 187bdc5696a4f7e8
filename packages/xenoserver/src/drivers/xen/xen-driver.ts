/** Domains of a Xen host under the contract of all drivers. Who controls the inputs: the customer (specification, files). */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { DRIVERS, invariant } from "@xenoservers/market";
import type { Crypto } from "@xenoservers/protocol";
import { Domains, SPARE_MS, prune, type Domain, type DomainJob, type DomainToken, type XenHost } from "@xenoservers/guests";
import type { GuestDriver, GuestJob, RunningGuest } from "../driver.ts";
import { refusedOr } from "../qemu/vm-ends.ts";
import type { MachineJob, Work } from "../work.ts";
import { runningDomain } from "./domain-guest.ts";
import { DomainSnapshots } from "./domain-snapshots.ts";
import { domainWorkProblem, neededForDomain } from "./domain-work.ts";

interface XenDriverOptions {
  host: XenHost;
  folder: string;
  /** Folders of domains that leases of an earlier daemon still use. */
  inUse: readonly string[];
  crypto: Crypto;
  /** For disks that are made of images once and kept. */
  imageCacheGib: number;
  /** Customers' own: room for all together, and how long each is kept. */
  snapshots: { gib: number; hours: number };
  log(what: string, facts: Record<string, unknown>): void;
}

const GIB = 1024 ** 3;

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

function machineOf(work: Work): MachineJob {
  invariant(work.kind === "machine", "work of another kind was refused when it came");
  return work.vm;
}

function jobOf({ lease, order, work, blobFile, signal }: GuestJob): DomainJob {
  const { spec, inputs } = machineOf(work);
  return { ...{ name: lease, customer: order.party, spec, inputs, blobFile }, ...(signal ? { signal } : {}) };
}

export async function createXenDriver(options: XenDriverOptions): Promise<GuestDriver> {
  const {
    assurances,
    can: { console, network, breakpoints },
  } = DRIVERS.xen;
  const { host, folder, inUse, crypto, snapshots, log } = options;
  const { xl, kind, engine, loader, stock } = host;
  const cache = { folder: path.join(folder, "cache"), bytesMax: options.imageCacheGib * GIB };
  await mkdir(cache.folder, { recursive: true, mode: 0o700 });
  const domains = new Domains({ xl, kind, loader, stock, cache, log, folder: path.join(folder, "domains") });
  await domains.open(inUse);
  const kept = new DomainSnapshots({ ...snapshots, folder: path.join(folder, "kept"), kind, log });
  const guestOf = (domain: Domain, { fuelMax, order, lease }: GuestJob): RunningGuest =>
    runningDomain(domain, { fuelMax, monotonicMs, snapshot: () => kept.take(domain, { customer: order.party, lease }) });
  return {
    name: "xen",
    engine,
    sandbox: { strength: "strong", why: "" },
    capabilities: { console, network, breakpoints, snapshots: true, screens: false, images: false, filesInMemory: false },
    assurances,
    holds: [],
    offered: () => ({ sandbox: "strong", vmEngine: engine }),
    problemWith: (work, ordered) =>
      work.kind === "machine"
        ? domainWorkProblem(crypto, ordered, work.vm, { loader, stock })
        : "a machine was ordered, not a WebAssembly job",
    neededBlobs: async (work) => neededForDomain(machineOf(work)),
    isSegment: () => false,
    async prepare(job) {
      const domain = await domains.prepare(await kept.found(jobOf(job), job.order.party)).catch((error: unknown) => {
        throw refusedOr(error);
      });
      return {
        token: domain.token,
        async begin() {
          try {
            const guest = guestOf(domain, job);
            await domain.begin();
            return guest;
          } catch (error) {
            await domain.dispose();
            throw error;
          }
        },
        discard: () => domain.dispose(),
      };
    },
    adopt: async (token, job) => guestOf(await domains.adopt(token as DomainToken, machineOf(job.work).spec), job),
    monotonicMs,
    makeRoom: () => prune(cache.folder, 0, SPARE_MS),
    async close() {
      kept.close();
      domains.close();
    },
  };
}
