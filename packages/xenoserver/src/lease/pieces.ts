/**
 * What came of a job whose lease ended before it ran: when its customer orders the same again, its bytes go on where they were. They lie
 * under their customer's name, so that nobody finds out by asking what somebody else has sent, and count as what is kept for that customer.
 * Nothing is believed of them: whoever takes them up hashes them. Who controls the inputs: the customer, every byte.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, rename, rm, rmdir, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { namesIn } from "@xenoservers/protocol/files";
import type { Kept } from "./kept-room.ts";

/** Less comes again from its beginning in no time. */
const KEPT_FROM_BYTES = 1024 * 1024;
const KEPT_MS = 24 * 3_600_000;
const BLOCK_BYTES = 512;
/** Of one customer's job there are few that are large; so many are looked at. */
const KEPT_FILES_MAX = 1_000;

const nameOf = (customer: string): string => createHash("sha256").update(customer).digest("hex").slice(0, 32);

export class Pieces {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  #of(customer: string): string {
    return path.join(this.#folder, nameOf(customer));
  }

  /** Takes the blobs of a folder that are worth it; the others stay where they are. */
  async setAside(customer: string, blobs: string, now: number): Promise<void> {
    const own = this.#of(customer);
    await this.#letGoOfOld(now);
    for (const digest of (await namesIn(blobs)).slice(0, KEPT_FILES_MAX)) {
      const file = path.join(blobs, digest);
      const { size } = await stat(file);
      const there = await stat(path.join(own, digest)).catch(() => null);
      if (size < KEPT_FROM_BYTES || (there?.size ?? 0) > size) continue;
      await mkdir(own, { recursive: true, mode: 0o700 });
      await utimes(file, now / 1_000, now / 1_000);
      await rename(file, path.join(own, digest));
    }
  }

  /** Puts what there is of a blob where its lease wants it; nothing where there is none. */
  async takeUp(customer: string, digest: string, file: string): Promise<void> {
    const own = path.join(this.#of(customer), digest);
    if (!(await stat(own).catch(() => null))) return;
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await rename(own, file);
  }

  async #letGoOfOld(now: number): Promise<void> {
    for (const each of await this.#files()) if (each.at + KEPT_MS <= now) await rm(each.file, { force: true });
  }

  async #files(): Promise<{ file: string; owner: string; bytes: number; at: number }[]> {
    const files: { file: string; owner: string; bytes: number; at: number }[] = [];
    for (const owner of await namesIn(this.#folder)) {
      const folder = path.join(this.#folder, owner);
      for (const digest of await readdir(folder)) {
        const file = path.join(folder, digest);
        const found = await stat(file).catch(() => null); // its lease may take it meanwhile
        if (found) files.push({ file, owner, bytes: found.blocks * BLOCK_BYTES, at: found.mtimeMs });
      }
      await rmdir(folder).catch(() => {}); // where it is empty
    }
    return files;
  }

  /** As what is kept for their customers: `customer` is known by name, all others as somebody else. */
  async kept(customer: string): Promise<Kept[]> {
    const own = nameOf(customer);
    return (await this.#files()).map(({ file, owner, bytes, at }) => ({
      ...{ lease: "", customer: owner === own ? customer : owner, bytes, overAt: at },
      letGo: async () => (await rm(file, { force: true }), true),
    }));
  }
}
