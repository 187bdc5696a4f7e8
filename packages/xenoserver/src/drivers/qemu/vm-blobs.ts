/** Where the bytes lie that a lease's machine begins with. Who controls the inputs: the customer (digests, addresses). */
import { access, copyFile, link, mkdir, rm } from "node:fs/promises";
import path from "node:path";
import type { ImageStore } from "@xenoservers/guests";
import { blobsOfVm } from "@xenoservers/protocol";
import { assertStillThere } from "../still-there.ts";
import type { VmJob } from "./vm-job.ts";
import type { SnapshotStore } from "./vm-snapshots.ts";

const MIB = 1024 * 1024;
const GONE = ": order it anew, and take the snapshot at once";

export class VmBlobs {
  readonly #images: ImageStore;
  readonly #kept: SnapshotStore;

  constructor(images: ImageStore, kept: SnapshotStore) {
    this.#images = images;
    this.#kept = kept;
  }

  /** Where each of the job's blobs lies: with the lease, or kept from before; images at an address are fetched. */
  async find({ customer, spec, forgets, blobFile, signal, fetchMsMax }: VmJob): Promise<(digest: string) => string> {
    const found = new Map<string, string>();
    const { vm } = spec;
    for (const digest of new Set(blobsOfVm(spec))) {
      if (forgets) {
        await this.#images.forget(customer, digest);
        continue;
      }
      const before = await this.#images.find(customer, digest);
      if (before === null) {
        await assertStillThere(blobFile(digest));
        await this.#images.keep(customer, digest, blobFile(digest));
      }
      found.set(digest, before ?? blobFile(digest));
    }
    if (vm.kind === "disk")
      for (const each of [vm.image, vm.iso])
        if (each && each.url !== null)
          found.set(
            each.digest,
            (await this.#images.find(customer, each.digest)) ??
              (await this.#images.fetch(each.url, each.digest, spec.diskMib * MIB, { signal, msMax: fetchMsMax })),
          );
    return (digest) => found.get(digest) ?? blobFile(digest);
  }

  /** One that another server has handed over with the lease, as if its customer had brought it here. Its digest was checked. */
  async came({ customer, forgets, blobFile }: VmJob, digest: string, file: string): Promise<void> {
    const own = blobFile(digest);
    await mkdir(path.dirname(own), { recursive: true, mode: 0o700 });
    await rm(own, { force: true });
    await link(file, own).catch(() => copyFile(file, own)); // on another file system
    if (!forgets) await this.#images.keep(customer, digest, own);
  }

  /**
   * What a snapshot of a job's machine needs to begin again, whatever becomes of the cache. Throws, in words (`gone`), where some of it is
   * not here any more.
   */
  async of({ customer, spec, blobFile }: VmJob, gone = GONE): Promise<Map<string, string>> {
    const from = spec.vm.kind === "snapshot" ? await this.#kept.find(customer, spec.vm.snapshot) : null;
    const { vm } = from?.spec ?? spec;
    const digests = new Set(blobsOfVm(from?.spec ?? spec));
    if (vm.kind === "disk") for (const each of [vm.image, vm.iso]) if (each) digests.add(each.digest);
    const found = new Map<string, string>();
    for (const digest of digests) {
      const file = (await from?.blob(digest)) ?? (await this.#images.find(customer, digest)) ?? blobFile(digest);
      const isThere = await access(file).then(
        () => true,
        () => false,
      );
      if (!isThere) throw new Error(`this server has let go of the image that the machine began with${gone}`);
      found.set(digest, file);
    }
    return found;
  }

  /** Blobs of the machine that a snapshot was taken of lie with it, or where they were found then. */
  async findKept(job: VmJob): Promise<(digest: string) => string> {
    const files = await this.of(job);
    return (digest) => files.get(digest) ?? job.blobFile(digest);
  }
}
