/**
 * Templates, one for each image of each customer: its bytes travel to the pool once, and every lease is a clone of it. Another customer
 * who knows the digest has not got the image by it. They have the room that the owner gives them, of which a customer has half at most;
 * the least used go first, which leaves their clones as they are. Who controls the inputs: the customer (the bytes); the pool.
 */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { asPlainDisk } from "@xenoservers/guests";
import type { ImageFormat } from "@xenoservers/protocol";
import { assertStillThere } from "../still-there.ts";
import { MACHINE_FIELDS } from "./machine-fields.ts";
import { fillDisk } from "./pool-disks.ts";
import { IMAGE, MARK, READY, TAG, type Pool } from "./pool.ts";
import { Unanswered } from "./xapi-error.ts";
import { zIntOut, zNothing, zRefOut, type Vm } from "./xapi-records.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const SHARE = 0.5;
const USED = "xenoserver-used";
const SIZE = "xenoserver-bytes";

export interface Image {
  customer: string;
  digest: string;
  /** The file that holds it. */
  file: string;
  format: ImageFormat;
  /** It may be a disk of no more. */
  diskMib: number;
}

interface Kept {
  ref: string;
  key: string;
  bytes: number;
  used: number;
}

const keyOf = ({ customer, digest }: Pick<Image, "customer" | "digest">): string => `${customer}/${digest}`;

export class PoolImages {
  readonly #pool: Pool;
  readonly #bytesMax: number;
  readonly #now: () => number;
  /** Where images of other formats are made plain disks. */
  readonly #folder: string;
  /** One is converted at a time: each may need a whole disk's room here. */
  #turn: Promise<unknown> = Promise.resolve();
  readonly #making = new Map<string, Promise<string>>();

  constructor(pool: Pool, gib: number, folder: string, now: () => number) {
    this.#pool = pool;
    this.#bytesMax = gib * GIB;
    this.#folder = folder;
    this.#now = now;
  }

  async #kept(): Promise<Kept[]> {
    // a lease's clone has all that its template has, and is called as its lease from the beginning
    const isKept = (vm: Vm): boolean =>
      this.#pool.isOwn(vm) &&
      this.#pool.leaseOf(vm) === null &&
      vm.is_a_template &&
      !vm.is_a_snapshot &&
      vm.other_config[READY] !== undefined;
    return (await this.#pool.vms()).flatMap(([ref, vm]) => {
      const { [IMAGE]: key = "", [SIZE]: bytes = "0", [USED]: used = "0" } = vm.other_config;
      return isKept(vm) ? [{ ref, key, bytes: Number(bytes), used: Number(used) }] : [];
    });
  }

  async has(customer: string, digest: string): Promise<boolean> {
    return (await this.#kept()).some(({ key }) => key === keyOf({ customer, digest }));
  }

  /** The image's template, made where it is not there; one at a time, and by the next who waits for it where it failed. */
  async template(image: Image, signal?: AbortSignal): Promise<string> {
    const key = keyOf(image);
    for (let under = this.#making.get(key); under; under = this.#making.get(key)) {
      const made = await under.catch(() => null);
      signal?.throwIfAborted();
      if (made !== null) return made;
    }
    const making = this.#find(image, signal).finally(() => this.#making.delete(key));
    this.#making.set(key, making);
    return making;
  }

  async #find(image: Image, signal?: AbortSignal): Promise<string> {
    const found = (await this.#kept()).find(({ key }) => key === keyOf(image));
    if (!found) await assertStillThere(image.file);
    const ref = found?.ref ?? (await this.#make(image, signal));
    await this.#pool.note(ref, USED, String(this.#now()));
    return ref;
  }

  #make(image: Image, signal?: AbortSignal): Promise<string> {
    const make = (): Promise<string> => asPlainDisk(image, this.#folder, (file, bytes) => this.#makeOf(image, file, bytes, signal), signal);
    if (image.format === "raw") return make();
    const made = this.#turn.then(() => {
      signal?.throwIfAborted();
      return make();
    });
    this.#turn = made.catch(() => {});
    return made;
  }

  async #makeOf(image: Image, file: string, diskBytes: number, signal?: AbortSignal): Promise<string> {
    const { session, mark, sr } = this.#pool;
    const bytes = Math.ceil(diskBytes / MIB) * MIB;
    const name = `xeno-image-${image.digest.slice(0, 16)}`;
    const vdi = await this.#pool.create(name, bytes, { [IMAGE]: keyOf(image) });
    let vm: string | null = null;
    try {
      await fillDisk(this.#pool, vdi, diskBytes, () => createReadStream(file), signal);
      const config = { [MARK]: mark, [IMAGE]: keyOf(image), [SIZE]: String(bytes) };
      vm = await session.call(zRefOut, "VM.create", {
        ...{ ...MACHINE_FIELDS, suspend_SR: sr },
        ...{ name_label: name, name_description: "an image of a customer of this xenoserver", tags: [TAG], other_config: config },
      });
      await this.#pool.attach(vm, vdi, 0, "RW", true);
      await this.#pool.note(vm, READY, "1");
      return vm;
    } catch (error) {
      // what cannot be removed now is found when the daemon starts again: it is not ready
      if (vm !== null) await this.#pool.removeVm(vm).catch(() => {});
      await this.#pool.removeDisk(vdi).catch(() => {});
      throw error;
    }
  }

  /** A clone for a lease; one that was half done when nobody answered is removed first. */
  async clone(template: string, name: string, lease: string, signal?: AbortSignal): Promise<string> {
    for (let tries = 0; ; tries++)
      try {
        return await this.#pool.mirror.runUntil(signal, "VM.clone", template, name);
      } catch (error) {
        if (!(error instanceof Unanswered) || tries > 1) throw error;
        await this.#pool.removeLease(lease);
      }
  }

  /** Keeps nothing of this customer's image; clones stay as they are. */
  async forget(image: Pick<Image, "customer" | "digest">): Promise<void> {
    for (const { ref, key } of await this.#kept()) if (key === keyOf(image)) await this.#pool.removeVm(ref);
  }

  /** Lets go of what is over the owner's bound, or a customer's half of it, the least used first. */
  async prune(bytesMax = this.#bytesMax): Promise<void> {
    const kept = (await this.#kept()).sort((a, b) => b.used - a.used);
    const of = new Map<string, number>();
    let all = 0;
    for (const { ref, key, bytes } of kept) {
      const [customer = ""] = key.split("/");
      const own = (of.get(customer) ?? 0) + bytes;
      if (all + bytes > bytesMax || own > bytesMax * SHARE) {
        await this.#pool.removeVm(ref);
        continue;
      }
      all += bytes;
      of.set(customer, own);
    }
  }

  /** A disk of the lease's own, filled with bytes. */
  async disk(name: string, bytes: number, config: Record<string, string>): Promise<string> {
    return this.#pool.create(name, Math.ceil(bytes / MIB) * MIB, config);
  }

  /** Its bytes are this server's own making. */
  async fill(vdi: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await fillDisk(this.#pool, vdi, bytes.length, () => Readable.from([bytes]), signal);
  }

  async resize(vdi: string, mib: number): Promise<void> {
    const size = await this.#pool.session.call(zIntOut, "VDI.get_virtual_size", vdi);
    if (size < mib * MIB) await this.#pool.session.call(zNothing, "VDI.resize", vdi, mib * MIB);
  }
}
