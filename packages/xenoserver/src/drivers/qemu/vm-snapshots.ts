/**
 * A customer's own snapshots of running machines: memory and devices as QEMU streams them, and the disk as it was. They stay on the
 * server that took them, for that customer alone, in the room and for the time that its owner gives them. Who controls the inputs: the
 * customer, the guest.
 */
import { randomBytes } from "node:crypto";
import { access, copyFile, link, mkdir, readFile, readdir, rm, stat, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import type { SnapshotSource } from "@xenoservers/guests";
import { zVmSpec, type VmSpec } from "@xenoservers/protocol";
import { z } from "zod";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const BLOCK_BYTES = 512;
/** Of the disk, never taken by snapshots. */
const LEFT_FREE_BYTES = GIB;
/** What one customer may have of the room for all. */
const SHARE = 0.5;
const ABOUT = "snapshot.json";
/** Of a machine, of a domain. */
const DISKS = ["disk.qcow2", "disk.raw"];
const BLOBS = "blobs";

interface Source {
  /** Leaves in that folder what a guest goes on from, or nothing. */
  snapshot(folder: string): Promise<void>;
  token: { kind: string; ociToken: string };
}

interface SnapshotOf {
  customer: string;
  spec: VmSpec;
  lease: string;
  /** What the machine began with, by digest: it stays with the snapshot. */
  blobs: ReadonlyMap<string, string>;
  /** Called once its turn has come: throws where none is to be taken any more. */
  needHere?: (() => void) | undefined;
}

interface KeptSnapshot extends SnapshotSource {
  /** A blob that the machine began with; null where it was not kept. */
  blob(digest: string): Promise<string | null>;
}

interface TakenSnapshot {
  snapshot: string;
  spec: VmSpec;
  /** When it is removed. */
  until: number;
}

interface SnapshotRules {
  /** For all of them together. */
  bytesMax: number;
  keepMs: number;
  now(): number;
}

const zAbout = z.object({ customer: z.string(), lease: z.string(), spec: zVmSpec, ociToken: z.string(), until: z.number() });
const gib = (bytes: number): string => `${Math.max(0, Math.floor((bytes / GIB) * 10) / 10)} GiB`;

/** Of a file that others hold too, its share. */
const bytesOf = (file: string): Promise<number> =>
  stat(file).then(
    ({ blocks, nlink }) => (blocks * BLOCK_BYTES) / nlink,
    () => 0,
  );

async function bytesIn(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isFile()) sum += await bytesOf(path.join(entry.parentPath, entry.name));
  return sum;
}

const there = (file: string): Promise<string | null> =>
  access(file).then(
    () => file,
    () => null,
  );

async function firstOf(files: readonly string[]): Promise<string | null> {
  for (const file of files) if ((await there(file)) !== null) return file;
  return null;
}

/** A machine that goes on from a snapshot is the one that it was taken of; the lease pays for no less. */
export function snapshotProblem(ordered: VmSpec, taken: VmSpec): string | null {
  const same = (["machine", "firmware", "devices", "tpm", "screen", "vcpu", "memoryMib", "diskMib", "network"] as const).every(
    (key) => ordered[key] === taken[key],
  );
  return same && taken.vm.kind !== "snapshot" ? null : "the machine that was ordered is not the one that the snapshot was taken of";
}

export class SnapshotStore {
  readonly #folder: string;
  readonly #rules: SnapshotRules;
  /** One is taken at a time: the room is counted before. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(folder: string, rules: SnapshotRules) {
    this.#folder = folder;
    this.#rules = rules;
  }

  /** The guest stands still while it is taken. Throws, in words for the customer, where there is no room. */
  take(machine: Source, of: SnapshotOf): Promise<TakenSnapshot> {
    const taken = this.#turn.then(() => this.#take(machine, of));
    this.#turn = taken.catch(() => {});
    return taken;
  }

  async #take(machine: Source, { customer, spec: ordered, lease, blobs, needHere }: SnapshotOf): Promise<TakenSnapshot> {
    needHere?.();
    // of a machine that began with a snapshot itself, that one's
    const spec = ordered.vm.kind === "snapshot" ? (await this.find(customer, ordered.vm.snapshot))?.spec : ordered;
    if (!spec) throw new Error("the snapshot that this machine began with is gone");
    const own = path.join(this.#folder, customer);
    await mkdir(own, { recursive: true, mode: 0o700 });
    await this.#removeOld();
    await this.#needRoom((spec.memoryMib + spec.diskMib) * MIB, own);
    const snapshot = randomBytes(32).toString("hex");
    const folder = path.join(own, snapshot);
    const until = this.#rules.now() + this.#rules.keepMs;
    await machine.snapshot(folder);
    await mkdir(path.join(folder, BLOBS), { mode: 0o700 });
    for (const [digest, file] of blobs) {
      const own = path.join(folder, BLOBS, digest);
      await link(file, own).catch(() => copyFile(file, own)); // on another file system
    }
    const { kind, ociToken } = machine.token;
    await writeFile(path.join(folder, ABOUT), JSON.stringify({ customer, lease, spec, ociToken: kind === "oci" ? ociToken : "", until }), {
      mode: 0o600,
    });
    return { snapshot, spec, until };
  }

  async #needRoom(bytes: number, own: string): Promise<void> {
    const { bytesMax } = this.#rules;
    const { bavail, bsize } = await statfs(this.#folder);
    const left = Math.min(
      bytesMax - (await bytesIn(this.#folder)),
      bytesMax * SHARE - (await bytesIn(own)),
      bavail * bsize - LEFT_FREE_BYTES,
    );
    if (bytes > left)
      throw new Error(
        `no room for a snapshot: the machine's memory and disk may need ${gib(bytes)}, this server has ${gib(left)} left for yours`,
      );
  }

  async #removeOld(): Promise<void> {
    for (const customer of await readdir(this.#folder).catch(() => []))
      for (const name of await readdir(path.join(this.#folder, customer)).catch(() => []))
        if ((await this.#about(customer, name)) === null)
          await rm(path.join(this.#folder, customer, name), { recursive: true, force: true });
  }

  /** Removes those whose time is over, and what was left half done. Idempotent. */
  tidy(): Promise<void> {
    const tidied = this.#turn.then(() => this.#removeOld());
    this.#turn = tidied.catch(() => {});
    return tidied;
  }

  async #about(customer: string, snapshot: string): Promise<z.infer<typeof zAbout> | null> {
    const file = path.join(this.#folder, customer, snapshot, ABOUT);
    const about = await readFile(file, "utf8")
      .then(
        (text) => zAbout.parse(JSON.parse(text)),
        () => null,
      )
      .catch(() => null); // cut short by a crash
    return about && about.until > this.#rules.now() ? about : null;
  }

  /** Null where this customer has no such snapshot here, or its time is over. */
  async find(customer: string, snapshot: string): Promise<KeptSnapshot | null> {
    if (!/^[0-9a-f]{64}$/.test(snapshot) || !/^p_[0-9a-f]{40}$/.test(customer)) return null;
    const about = await this.#about(customer, snapshot);
    if (!about) return null;
    const folder = path.join(this.#folder, customer, snapshot);
    return {
      ...{
        spec: about.spec,
        ociToken: about.ociToken,
        state: path.join(folder, "state"),
        disk: await firstOf(DISKS.map((name) => path.join(folder, name))),
      },
      blob: (digest) => there(path.join(folder, BLOBS, digest)),
    };
  }
}
