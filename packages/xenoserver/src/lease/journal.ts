/**
 * The server's memory of its leases: one folder each. What the server signs is written and synced before it is sent (PROTOCOL section 4),
 * so that a crash never makes it contradict itself.
 */
import { lstat, mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { placeOf } from "@xenoservers/guests";
import type { Finding, Lease } from "@xenoservers/market";
import { jsonIn, type Envelope, type Kind } from "@xenoservers/protocol";
import { ifThere, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { GuestToken } from "../drivers/driver.ts";
import type { Work } from "../drivers/work.ts";
import { digestOfFile, openArriving, type ArrivingBlob } from "./arriving-blob.ts";
import type { Kept } from "./kept-room.ts";
import { Pieces } from "./pieces.ts";

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

/** Why a guest stands still at nobody's cost: the broker does not hear this server; this server's disk is full. */
export type Unbilled = "unheard" | "no-room";

interface GuestRecord {
  token: GuestToken;
  startedMonotonicMs: number;
  /** Of which nothing is billed, up to where it stands still now. */
  pausedMs: number;
  /** Absent in records of earlier versions. */
  stands?: { sinceMonotonicMs: number; why: Unbilled[] } | null;
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
  /** What is here of a lease, its guest's folder included, in bytes of the disk. */
  bytes(record: LeaseRecord): Promise<number>;
  /** A blob to be brought, from where it is: with the lease, or with what came of an earlier one of this customer's. */
  arriving(lease: string, customer: string, blob: { digest: string; size: number }): Promise<ArrivingBlob>;
  /** What came of a job that never ran is kept for its customer's next lease. */
  setAside(lease: string, customer: string, now: number): Promise<void>;
  /** Kept so, and counted for this customer or for others. */
  setAsideKept(customer: string): Promise<Kept[]>;
  /** Whether all of a blob is here, and right. */
  hasBlob(lease: string, blob: { digest: string; size: number }): Promise<boolean>;
  blobFile(lease: string, digest: string): string;
  /** The number of the next offer to sign, above all before it and above `after`; survives restarts. */
  nextOfferSequence(after?: number): Promise<number>;
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

/** Above the last that was given, and above `after`. */
async function numberAfter(file: string, after: number): Promise<number> {
  const last = Number((await readIfThere(file)) ?? 0);
  if (!Number.isSafeInteger(last)) throw new Error(`${file} is damaged: remove it, and the broker says which number was the last`);
  const next = Math.max(last, after) + 1;
  await writeWhole(file, String(next));
  return next;
}

const BLOCK_BYTES = 512;

/** Of a file that others hold too, its share. */
async function bytesBelow(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!entry.isFile()) continue;
    const found = await lstat(path.join(entry.parentPath, entry.name)).catch(() => null); // it may go meanwhile
    if (found) sum += (found.blocks * BLOCK_BYTES) / found.nlink;
  }
  return sum;
}

async function bytesOf({ guest }: LeaseRecord, folder: string): Promise<number> {
  const guests = guest?.token["folder"];
  return (await bytesBelow(folder)) + (typeof guests === "string" ? await bytesBelow(placeOf(guests).folder) : 0);
}

/** Where a lease's folder lies from now on. */
async function setAside(folder: string, lease: string): Promise<string> {
  const aside = path.join(folder, "leases-damaged");
  await mkdir(aside, { recursive: true, mode: 0o700 });
  const to = await mkdtemp(path.join(aside, `${path.basename(lease)}-`));
  await rename(lease, to);
  return to;
}

/** `damaged`: told of each lease whose record cannot be read, and where it lies from now on: the others go on without it. */
export async function openJournal(folder: string, damaged: (lease: string, movedTo: string) => void = () => {}): Promise<Journal> {
  const leases = path.join(folder, "leases");
  await mkdir(leases, { recursive: true, mode: 0o700 });
  const folderOf = (lease: string): string => path.join(leases, lease);
  const blobFile = (lease: string, digest: string): string => path.join(folderOf(lease), "blobs", digest);
  const pieces = new Pieces(path.join(folder, "pieces"));
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
      await rm(folderOf(lease), { recursive: true, force: true });
    },
    bytes: (record) => bytesOf(record, folderOf(record.lease)),
    async arriving(lease, customer, { digest, size }) {
      const file = blobFile(lease, digest);
      if (!(await ifThere(stat(file)))) await pieces.takeUp(customer, digest, file);
      return openArriving(file, digest, size);
    },
    setAside: (lease, customer, now) => pieces.setAside(customer, path.join(folderOf(lease), "blobs"), now),
    setAsideKept: (customer) => pieces.kept(customer),
    async hasBlob(lease, { digest, size }) {
      const file = blobFile(lease, digest);
      return (await ifThere(stat(file)))?.size === size && (await digestOfFile(file)) === digest;
    },
    nextOfferSequence(after = 0) {
      const taken = lastSequence.then(() => numberAfter(sequenceFile, after));
      lastSequence = taken.catch(() => {});
      return taken;
    },
  };
}
