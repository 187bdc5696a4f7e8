/**
 * What customers brought stays for their next leases on this server, within the bounds that its owner sets: whole blobs as a second name of
 * the file that their lease has, and of a job that never ran what had come of it. It lies under its customer's name and account, so that
 * nobody finds out by asking what somebody else has sent, and a key of one account has nothing of another's. It counts as what is kept for
 * that customer. Nothing is believed of it: whoever takes it up finds its digest (`HashedFiles`), and nobody writes into a file that has
 * two names. Who controls the inputs: the customer, every byte, digest and size; the owner (bounds, and the disk).
 */
import { createHash } from "node:crypto";
import { mkdir, rename, rm, rmdir, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { hashedFiles } from "@xenoservers/guests";
import { ifThere, namesIn } from "@xenoservers/protocol/files";
import type { Kept } from "./kept-room.ts";

/** Who brings, and for what it pays. */
export interface Bringer {
  customer: string;
  account: string;
}

export interface InputRules {
  /** Of the disk, all together; 0 = nothing is kept. Half of it at most for one customer. */
  bytesMax: number;
  /** Since it was last used. */
  keepMs: number;
}

/** Less comes again from its beginning in no time. */
const KEPT_FROM_BYTES = 1024 * 1024;
const SHARE = 0.5;
const BLOCK_BYTES = 512;
/** Of one customer's job there are few that are large; so many are looked at. */
const KEPT_FILES_MAX = 1_000;
const NAME_DIGITS = 32;
const [WHOLE, PART] = ["whole", "part"] as const;

const nameOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, NAME_DIGITS);

/** Which file it is, whatever its names. */
export const fileIdOf = ({ dev, ino }: { dev: number; ino: number }): string => `${dev}:${ino}`;

/** What the system does not let it do is not kept, and comes again: a disk without second names, or without room for them. */
function unlessBug(error: unknown): void {
  if (!(error instanceof Error && "code" in error)) throw error;
}

interface Entry {
  folder: string;
  /** The name of its customer's folder. */
  owner: string;
  file: string;
  bytes: number;
  /** Last used; the folder's own time, for a file's is that of all its names. */
  at: number;
}

/** Null where there is nothing in it, as a daemon that was killed may leave it. */
async function entryIn(folder: string, owner: string): Promise<Entry | null> {
  const used = await ifThere(stat(folder));
  const found = (await ifThere(stat(path.join(folder, WHOLE)))) ?? (await ifThere(stat(path.join(folder, PART))));
  if (!used || !found) return null;
  return { folder, owner, file: fileIdOf(found), bytes: found.blocks * BLOCK_BYTES, at: used.mtimeMs };
}

export class KeptInputs {
  readonly #folder: string;
  readonly #rules: () => InputRules;
  readonly #now: () => number;
  /** By their folders. This program alone puts something there: it is looked through once. */
  #entries: Promise<Map<string, Entry>> | null = null;

  constructor(folder: string, rules: () => InputRules, now: () => number) {
    this.#folder = folder;
    this.#rules = rules;
    this.#now = now;
  }

  #here(): Promise<Map<string, Entry>> {
    return (this.#entries ??= this.#lookThrough());
  }

  async #lookThrough(): Promise<Map<string, Entry>> {
    const entries = new Map<string, Entry>();
    for (const owner of await namesIn(this.#folder)) {
      for (const name of await namesIn(path.join(this.#folder, owner))) {
        const folder = path.join(this.#folder, owner, name);
        const entry = await entryIn(folder, owner);
        if (entry) entries.set(folder, entry);
        else await rm(folder, { recursive: true, force: true });
      }
      await rmdir(path.join(this.#folder, owner)).catch(() => {}); // where it is empty
    }
    return entries;
  }

  #place({ customer, account }: Bringer, digest: string): { folder: string; owner: string } {
    const owner = nameOf(customer);
    return { folder: path.join(this.#folder, owner, `${nameOf(account)}-${digest}`), owner };
  }

  /** As it is on the disk now; it was used now. */
  async #used(folder: string, owner: string): Promise<void> {
    const seconds = this.#now() / 1_000;
    await utimes(folder, seconds, seconds);
    const entry = await entryIn(folder, owner);
    if (entry) (await this.#here()).set(folder, { ...entry, at: this.#now() });
  }

  async #drop(folder: string): Promise<void> {
    (await this.#here()).delete(folder);
    await rm(folder, { recursive: true, force: true });
    await rmdir(path.dirname(folder)).catch(() => {}); // where it is empty
  }

  #isWorthIt(size: number): boolean {
    return size >= KEPT_FROM_BYTES && size <= this.#rules().bytesMax * SHARE;
  }

  /** Gives a blob that came whole, and is right, its second name here. */
  async keep(bringer: Bringer, digest: string, file: string): Promise<void> {
    const brought = await stat(file);
    if (!this.#isWorthIt(brought.size)) return;
    const { folder, owner } = this.#place(bringer, digest);
    const whole = path.join(folder, WHOLE);
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const there = await ifThere(stat(whole));
      if (!there || fileIdOf(there) !== fileIdOf(brought)) {
        await rm(whole, { force: true }); // what was brought last is what was hashed last
        await hashedFiles.link(file, whole);
      }
      await rm(path.join(folder, PART), { force: true });
      await this.#used(folder, owner);
    } catch (error) {
      unlessBug(error);
    }
    await this.prune();
  }

  /** What came of blobs that are not whole moves here, where it is worth it and more than there was; all else stays where it is. */
  async setAside(bringer: Bringer, blobs: string): Promise<void> {
    for (const digest of (await namesIn(blobs)).slice(0, KEPT_FILES_MAX))
      await this.#setAside(this.#place(bringer, digest), path.join(blobs, digest)).catch(unlessBug);
    await this.prune();
  }

  async #setAside({ folder, owner }: { folder: string; owner: string }, file: string): Promise<void> {
    const { size } = await stat(file);
    const part = path.join(folder, PART);
    const isMore = !(await ifThere(stat(path.join(folder, WHOLE)))) && size > ((await ifThere(stat(part)))?.size ?? 0);
    if (!isMore || !this.#isWorthIt(size)) return;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rename(file, part);
    await this.#used(folder, owner);
  }

  /**
   * Puts what there is of a blob where its lease wants it, as another name of what is whole; nothing where there is none of this size.
   * Whether it is still kept here, used now.
   */
  async takeUp(bringer: Bringer, { digest, size }: { digest: string; size: number }, file: string): Promise<boolean> {
    const { folder, owner } = this.#place(bringer, digest);
    const whole = path.join(folder, WHOLE);
    try {
      const found = await ifThere(stat(whole));
      if (found ? found.size !== size : !(await ifThere(stat(path.join(folder, PART))))) return false;
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      if (found) {
        await hashedFiles.link(whole, file);
        await this.#used(folder, owner);
        return true;
      }
      await rename(path.join(folder, PART), file);
      await this.#drop(folder);
    } catch (error) {
      unlessBug(error);
    }
    return false;
  }

  /** Nothing is kept of these any more; leases that have them keep their own names of them. */
  async forget(bringer: Bringer, digests: readonly string[]): Promise<void> {
    for (const digest of digests) await this.#drop(this.#place(bringer, digest).folder);
  }

  /** What was not used for longest first. */
  async #byUse(): Promise<Entry[]> {
    const entries = [...(await this.#here()).values()];
    // a clock that was ahead keeps nothing for longer
    for (const each of entries) each.at = Math.min(each.at, this.#now());
    return entries.sort((a, b) => a.at - b.at);
  }

  /** Lets go of what is too old, and then of what was not used for longest until the rest is within bounds, each customer's share first. */
  async prune(): Promise<void> {
    const { bytesMax, keepMs } = this.#rules();
    const entries = await this.#byUse();
    const ofOwner = new Map<string, number>();
    for (const { owner, bytes } of entries) ofOwner.set(owner, (ofOwner.get(owner) ?? 0) + bytes);
    let sum = entries.reduce((all, { bytes }) => all + bytes, 0);
    for (const { folder, owner, bytes, at } of entries) {
      const own = ofOwner.get(owner) ?? 0;
      if (at + keepMs > this.#now() && own <= bytesMax * SHARE && sum <= bytesMax) continue;
      await this.#drop(folder);
      ofOwner.set(owner, own - bytes);
      sum -= bytes;
    }
  }

  /** Which files lie here. */
  async files(): Promise<ReadonlySet<string>> {
    return new Set([...(await this.#here()).values()].map(({ file }) => file));
  }

  /** As what is kept for their customers: `customer` is known by name, all others as somebody else. */
  async kept(customer: string): Promise<Kept[]> {
    const own = nameOf(customer);
    return (await this.#byUse()).map(({ folder, owner, file, bytes, at }) => ({
      ...{ lease: "", customer: owner === own ? customer : owner, bytes: 0, shared: new Map([[file, bytes]]), overAt: at, isSpare: true },
      letGo: async () => (await this.#drop(folder), true),
    }));
  }

  /** For want of room on the disk, what frees some: what was not used for longest first. False where there is nothing left. */
  async makeRoom(): Promise<boolean> {
    for (const { folder } of await this.#byUse()) {
      const names = await namesIn(folder);
      const links = await Promise.all(names.map((name) => ifThere(stat(path.join(folder, name)))));
      if (!links.some((each) => each?.nlink === 1)) continue;
      await this.#drop(folder);
      return true;
    }
    return false;
  }
}
