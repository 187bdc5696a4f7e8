/**
 * The server's memory of its leases: one folder each. What the server signs is written and synced before it is sent (PROTOCOL section 4),
 * so that a crash never makes it contradict itself.
 */
import { lstat, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { hashedFiles, placeOf } from "@xenoservers/guests";
import type { Finding, Lease } from "@xenoservers/market";
import { jsonIn, type Envelope, type Kind } from "@xenoservers/protocol";
import { ifThere, namesIn, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { GuestToken } from "../drivers/driver.ts";
import type { Work } from "../drivers/work.ts";
import type { ArrivingBlob } from "./arriving-blob.ts";
import { openBrought } from "./brought-blob.ts";
import { KeptInputs, fileIdOf, type Bringer, type InputRules } from "./kept-inputs.ts";
import type { Kept } from "./kept-room.ts";

export interface SignedClaim {
  id: string;
  envelope: Envelope;
  usedMs: number;
}

/** A document and when the broker's log took it. */
export interface Filed {
  envelope: Envelope;
  at: number;
  /** Of a dispute or verdict that was taken: what this server found then. What it learns later of keys changes nothing of that. */
  finding?: Finding;
}

export type StopReason = "customer-stop" | "owner-stop" | "time-limit" | "budget";

export interface SignedResult {
  id: string;
  envelope: Envelope;
  usedMs: number;
  tree: InputEntry[];
  stdoutSize: number;
  stderrSize: number;
}

/** Why a guest stands still at nobody's cost: the broker does not hear this server; its disk is full; the guest is carried to another. */
export type Unbilled = "unheard" | "no-room" | "moving";

interface GuestRecord {
  token: GuestToken;
  /** That runs it, whichever a later daemon has. Absent in records of earlier versions. */
  engine?: string;
  startedMonotonicMs: number;
  /** Of which nothing is billed, up to where it stands still now. */
  pausedMs: number;
  /** Absent in records of earlier versions. */
  stands?: { sinceMonotonicMs: number; why: Unbilled[] } | null;
  /** It was told to go on, and has not done so yet. */
  goesOn?: true;
}

export interface LeaseRecord {
  lease: string;
  /** What gives the signers of its facts their roles. */
  grants: Envelope[];
  /** What the server has seen of the lease, its purchase order first; claims that later ones have overtaken are left out. */
  facts: Filed[];
  /** The lease as the first so many of these facts, and the claims among them, have made it; null: as none. */
  base: { lease: Lease; facts: number } | null;
  /** What was rightly signed and the lease does not take: evidence, where it never does. */
  held: (Filed & { kind: Kind; why: string })[];
  acceptance: Envelope;
  incarnation: number;
  /** Signed, and not yet receipted. */
  pendingClaim: SignedClaim | null;
  work: Work | null;
  guest: GuestRecord | null;
  pausedByCustomer: boolean;
  /** Why the guest was told to stop, or is not begun. */
  stop: StopReason | null;
  result: SignedResult | null;
  /** Of a replica: the commitment to its result. */
  commitment: Envelope | null;
  /** The customer's word that it has the result's bytes. */
  delivery: Envelope | null;
  /** To a settlement that the lease's facts do not give. */
  objection: Envelope | null;
  /** The customer doubts the result: what was asked for, what runs, and what was signed. */
  trace: { request: string; token: GuestToken | null; envelope: Envelope | null } | null;
  overAt: number | null;
  /** Signed and perhaps sent: the lease may be elsewhere until a later claim is receipted. Records of earlier versions have none. */
  handover?: Envelope | null;
  /** What this server signed to take the lease over from another; where it began here there is none. */
  takeover?: Envelope;
}

/** Of a lease whose purchase order has just come. */
export function newRecord(accepted: Pick<LeaseRecord, "lease" | "grants" | "facts" | "acceptance" | "incarnation">): LeaseRecord {
  return {
    ...accepted,
    ...{ base: null, held: [], pendingClaim: null, work: null, guest: null, pausedByCustomer: false, stop: null, result: null },
    ...{ commitment: null, delivery: null, objection: null, trace: null, overAt: null },
  };
}

export interface Journal {
  load(): Promise<LeaseRecord[]>;
  /** Returns when it is on disk. */
  save(record: LeaseRecord): Promise<void>;
  remove(lease: string): Promise<void>;
  /** What is here of a lease, its guest's folder included. */
  bytes(record: LeaseRecord): Promise<LeaseBytes>;
  /**
   * A blob to be brought, from where it is: with the lease, or with what this customer brought before. `keeps`: once it is whole and right,
   * it is kept for the next.
   */
  arriving(lease: string, bringer: Bringer, blob: { digest: string; size: number }, keeps: boolean): Promise<ArrivingBlob>;
  /** What came of a job that never ran is kept for its customer's next lease. */
  setAside(lease: string, bringer: Bringer): Promise<void>;
  /** Nothing that came for this lease is kept for the next, whoever brought it first. */
  forgetInputs(lease: string, bringer: Bringer): Promise<void>;
  /** What is kept for next leases, counted for this customer or for others. */
  keptInputs(customer: string): Promise<Kept[]>;
  /** Lets go of what was kept for too long. */
  pruneInputs(): Promise<void>;
  /** Whether all of a blob is here, and right. */
  hasBlob(lease: string, blob: { digest: string; size: number }): Promise<boolean>;
  blobFile(lease: string, digest: string): string;
  /** The number of the next offer to sign, above all before it and above `after`; survives restarts. */
  nextOfferSequence(after?: number): Promise<number>;
  /** The number that was given last; 0: none was. Rejects where it cannot be read. */
  lastOfferSequence(): Promise<number>;
}

const DAMAGED = Symbol("what stood there cannot be read");

/** Null where there is none. What this server signed stands in it, so that nothing is signed for a lease whose record is damaged. */
async function recordIn(file: string): Promise<LeaseRecord | typeof DAMAGED | null> {
  const text = await readIfThere(file);
  if (text === null) return null;
  const record = jsonIn(text);
  if (typeof record === "object" && record !== null && "lease" in record && "facts" in record && "acceptance" in record)
    return record as unknown as LeaseRecord;
  return DAMAGED;
}

async function numberIn(file: string): Promise<number> {
  const last = Number((await readIfThere(file)) ?? 0);
  if (!Number.isSafeInteger(last)) throw new Error(`${file} is damaged: remove it, and the broker says which number was the last`);
  return last;
}

/** Above the last that was given, and above `after`. */
async function numberAfter(file: string, after: number): Promise<number> {
  const next = Math.max(await numberIn(file), after) + 1;
  await writeWhole(file, String(next));
  return next;
}

const BLOCK_BYTES = 512;

/** In bytes of the disk: what a lease has alone, and by their files what is also kept for its customer's next. */
export type LeaseBytes = Pick<Kept, "bytes" | "shared">;

/** Of a file of its own folder that other leases have too it counts whole, and once with theirs; of one in a driver's cache, its share. */
async function bytesOf({ guest }: LeaseRecord, folder: string, keptFiles: ReadonlySet<string>): Promise<LeaseBytes> {
  const guests = guest?.token["folder"];
  const folders = [folder, ...(typeof guests === "string" ? [placeOf(guests).folder] : [])];
  const shared = new Map<string, number>();
  let bytes = 0;
  for (const each of folders)
    for (const entry of await readdir(each, { recursive: true, withFileTypes: true }).catch(() => [])) {
      if (!entry.isFile()) continue;
      const found = await lstat(path.join(entry.parentPath, entry.name)).catch(() => null); // it may go meanwhile
      if (!found) continue;
      const file = fileIdOf(found);
      if (keptFiles.has(file) || (each === folder && found.nlink > 1)) shared.set(file, found.blocks * BLOCK_BYTES);
      else bytes += (found.blocks * BLOCK_BYTES) / found.nlink;
    }
  return { bytes, shared };
}

/** Where a lease's folder lies from now on. */
async function setAside(folder: string, lease: string): Promise<string> {
  const aside = path.join(folder, "leases-damaged");
  await mkdir(aside, { recursive: true, mode: 0o700 });
  const to = await mkdtemp(path.join(aside, `${path.basename(lease)}-`));
  await rename(lease, to);
  return to;
}

interface JournalOptions {
  /** Told of each lease whose record cannot be read, and where it lies from now on: the others go on without it. */
  damaged?(lease: string, movedTo: string): void;
  /** Told of what was kept for its customer and is not what it was: it comes again. */
  spoiled?(lease: string, digest: string): void;
  /** What may be kept for customers' next leases. */
  inputs: () => InputRules;
  now?(): number;
}

export async function openJournal(folder: string, options: JournalOptions): Promise<Journal> {
  const { damaged = () => {}, spoiled = () => {}, now = Date.now } = options;
  const leases = path.join(folder, "leases");
  await mkdir(leases, { recursive: true, mode: 0o700 });
  await rm(path.join(folder, "pieces"), { recursive: true, force: true }); // where earlier versions had what came
  const folderOf = (lease: string): string => path.join(leases, lease);
  const blobFile = (lease: string, digest: string): string => path.join(folderOf(lease), "blobs", digest);
  const kept = new KeptInputs(path.join(folder, "inputs"), options.inputs, now);
  const sequenceFile = path.join(folder, "offer-sequence");
  /** Per lease: the save under way and, after it, one more that carries everything changed meanwhile. */
  const saves = new Map<string, { running: Promise<void>; next: Promise<void> | null }>();
  /** One after the other: two offers of one number would be two words about one thing. */
  let lastSequence: Promise<unknown> = Promise.resolve();

  /** Leases whose folders are there. */
  const made = new Set<string>();

  async function write(record: LeaseRecord): Promise<void> {
    if (!made.has(record.lease)) await mkdir(path.join(folderOf(record.lease), "blobs"), { recursive: true, mode: 0o700 });
    made.add(record.lease);
    await writeWhole(path.join(folderOf(record.lease), "lease.json"), JSON.stringify(record));
  }

  function save(record: LeaseRecord): Promise<void> {
    const busy = saves.get(record.lease);
    if (busy) return (busy.next ??= busy.running.catch(() => {}).then(() => save(record)));
    const running = write(record).finally(() => saves.delete(record.lease));
    saves.set(record.lease, { running, next: null });
    return running;
  }

  return {
    async load() {
      const records: LeaseRecord[] = [];
      for (const name of await readdir(leases)) {
        const record = await recordIn(path.join(leases, name, "lease.json"));
        // nothing of it was signed
        if (record === null) await rm(path.join(leases, name), { recursive: true, force: true });
        else if (record === DAMAGED) damaged(name, await setAside(folder, path.join(leases, name)));
        else records.push(record);
      }
      return records;
    },
    ...{ save, blobFile },
    async remove(lease) {
      await saves.get(lease)?.running.catch(() => {});
      made.delete(lease);
      await hashedFiles.leave(path.join(folderOf(lease), "blobs"));
      await rm(folderOf(lease), { recursive: true, force: true });
    },
    bytes: async (record) => bytesOf(record, folderOf(record.lease), await kept.files()),
    arriving: (lease, bringer, blob, keeps) =>
      openBrought(kept, { file: blobFile(lease, blob.digest), bringer, blob, keeps, spoiled: () => spoiled(lease, blob.digest) }),
    setAside: (lease, bringer) => kept.setAside(bringer, path.join(folderOf(lease), "blobs")),
    forgetInputs: async (lease, bringer) => kept.forget(bringer, await namesIn(path.join(folderOf(lease), "blobs"))),
    keptInputs: (customer) => kept.kept(customer),
    pruneInputs: () => kept.prune(),
    async hasBlob(lease, { digest, size }) {
      const file = blobFile(lease, digest);
      return (await ifThere(stat(file)))?.size === size && (await hashedFiles.digestOf(file)) === digest;
    },
    nextOfferSequence(after = 0) {
      const taken = lastSequence.then(() => numberAfter(sequenceFile, after));
      lastSequence = taken.catch(() => {});
      return taken;
    },
    lastOfferSequence: () => lastSequence.then(() => numberIn(sequenceFile)),
  };
}
