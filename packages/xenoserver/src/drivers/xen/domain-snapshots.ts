/**
 * Customers' own snapshots of domains, in the room and for the time that the owner gives machines' too. Who controls the inputs: the
 * customer (which snapshot), the guest.
 */
import path from "node:path";
import { savedKind, type Domain, type DomainJob, type DomainKind } from "@xenoservers/guests";
import { invariant } from "@xenoservers/market";
import type { GuestControls } from "../driver.ts";
import { SnapshotStore, snapshotProblem } from "../qemu/vm-snapshots.ts";
import { RefusedJob } from "../refused.ts";

const GIB = 1024 ** 3;
const HOUR_MS = 3_600_000;

interface SnapshotRules {
  folder: string;
  gib: number;
  hours: number;
  /** What the server makes now: a domain of another kind cannot go on here. */
  kind: DomainKind;
  log(what: string, facts: Record<string, unknown>): void;
}

interface OfLease {
  customer: string;
  lease: string;
}

export class DomainSnapshots {
  readonly #store: SnapshotStore;
  readonly #kind: DomainKind;
  readonly #tidying: NodeJS.Timeout;

  constructor({ folder, gib, hours, kind, log }: SnapshotRules) {
    this.#store = new SnapshotStore(folder, { bytesMax: gib * GIB, keepMs: hours * HOUR_MS, now: () => Date.now() });
    this.#kind = kind;
    const tidy = (): void =>
      void this.#store.tidy().catch((error: Error) => log("old snapshots could not be removed", { error: error.message }));
    tidy();
    this.#tidying = setInterval(tidy, HOUR_MS).unref();
  }

  /** Throws, in words for the customer, where there is no room, or its kernel does not suspend itself. */
  take(domain: Domain, { customer, lease }: OfLease, needHere?: () => void): ReturnType<GuestControls["snapshot"]> {
    const source = { snapshot: (folder: string) => domain.snapshot(folder), token: { kind: "domain", ociToken: "" } };
    return this.#store.take(source, { customer, lease, spec: domain.spec, blobs: domain.bootFiles(), needHere });
  }

  /** The job with what it goes on from, where it does. Throws RefusedJob where this customer has no such snapshot here. */
  async found(job: DomainJob, customer: string): Promise<DomainJob> {
    const { spec, blobFile } = job;
    if (spec.vm.kind !== "snapshot") return job;
    const kept = await this.#store.find(customer, spec.vm.snapshot);
    if (!kept) throw new RefusedJob("this server does not have that snapshot of yours, or not any more");
    const problem = snapshotProblem(spec, kept.spec);
    if (problem !== null) throw new RefusedJob(problem);
    const kind = await savedKind(path.dirname(kept.state));
    if (kind !== this.#kind) throw new RefusedJob(`the snapshot is of a ${kind} domain, and this server makes ${this.#kind} domains now`);
    const { vm } = kept.spec;
    const files = new Map<string, string>();
    if (vm.kind === "kernel")
      for (const digest of [vm.kernel, vm.initrd]) {
        if (digest === null) continue;
        const file = await kept.blob(digest);
        invariant(file !== null, "a snapshot keeps what its domain boots");
        files.set(digest, file);
      }
    return { ...job, from: kept, blobFile: (digest) => files.get(digest) ?? blobFile(digest) };
  }

  close(): void {
    clearInterval(this.#tidying);
  }
}
