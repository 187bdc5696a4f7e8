/** The jobs a customer sent, kept on this machine so that it can run them again and compare: `xeno verify LEASE --re-execute`. */
import { rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { blobsOfVm, canonicalBytes, toHex, zJobSpec, zVmSpec, type Json } from "@xenoservers/protocol";
import { inPlace, makeFolder, moveTo, nameBeside, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { zInputTree } from "@xenoservers/protocol/channel";
import { forgetting, type BuiltWork } from "../built.ts";
import { builtJob } from "../job.ts";
import { PYTHON, runtimeBlob } from "../runtimes.ts";
import type { Blob } from "../blob.ts";
import { fileBlob } from "../tree.ts";
import { VM_DRIVER, builtVm } from "../vm.ts";
import * as z from "zod/mini";
import { home } from "./home.ts";
import { pruneKept, touchKept } from "./kept-room.ts";
import { KeptError } from "../errors.ts";
import { mib, shortId } from "../words.ts";

/** Larger jobs are not kept: their files would be copied on every run. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;
const MIB = 1024 * 1024;

/**
 * All that is kept is looked through, so not for each of many jobs: by the first, and again when so much has come; jobs small enough not to
 * count are counted, too.
 */
const PRUNED_EVERY = { bytes: 64 * MIB, jobs: 256 } as const;
const sincePruned = { bytes: Number.POSITIVE_INFINITY, jobs: 0 };

async function pruneNowAndThen(addedBytes: number): Promise<void> {
  sincePruned.bytes += addedBytes;
  sincePruned.jobs += 1;
  if (sincePruned.bytes < PRUNED_EVERY.bytes && sincePruned.jobs < PRUNED_EVERY.jobs) return;
  Object.assign(sincePruned, { bytes: 0, jobs: 0 });
  await pruneKept(home.data);
}

/** Its server is to keep nothing of it. */
const zForgets = z.optional(z.literal(true));
const zKeptJob = z.strictObject({ spec: zJobSpec, inputs: zInputTree, forgets: zForgets });
const zKeptVm = z.strictObject({ spec: zVmSpec, inputs: zInputTree, forgets: zForgets });
export type KeptJob = z.infer<typeof zKeptJob>;
export type KeptVm = z.infer<typeof zKeptVm>;

const folderOf = (jobHash: string): string => path.join(home.data, "jobs", jobHash);
const blobFolder = (): string => path.join(home.data, "blobs");

/** Idempotent; blobs that several jobs share are kept once. Of machines, those that can be run again. */
export async function keepJob(job: BuiltWork): Promise<void> {
  const { jobHash, spec, inputs, blobs, message } = job;
  if (job.spec.engine === null) return;
  const own = [...blobs.values()].filter(({ digest }) => digest !== PYTHON.digest);
  if (own.reduce((sum, { size }) => sum + size, 0) > KEPT_BYTES_MAX) return;
  await makeFolder(blobFolder());
  let addedBytes = 0;
  for (const { digest, size, read } of own) {
    const file = path.join(blobFolder(), digest);
    const kept = await stat(file).catch(() => null);
    if (kept?.size === size) {
      await touchKept(file);
      continue;
    }
    // half of a file would come to another result
    const part = nameBeside(file);
    const bytes = await read(0, size);
    try {
      await writeFile(part, bytes, { mode: 0o600 });
      await moveTo(file, part);
    } catch (error) {
      await rm(part, { force: true });
      throw inPlace(error, file);
    }
    addedBytes += size;
  }
  await writeWhole(path.join(folderOf(jobHash), "job.json"), JSON.stringify({ spec, inputs, forgets: message.forgets }));
  await pruneNowAndThen(addedBytes);
}

export type Kept<T> = T & { blobFile(digest: string): string };
/** Work of any kind, wherever it is kept. */
export type KeptWork = Kept<KeptJob> | Kept<KeptVm>;

async function readKept(jobHash: string): Promise<unknown> {
  const text = await readIfThere(path.join(folderOf(jobHash), "job.json"));
  if (text !== null) return JSON.parse(text);
  const why = `it was sent from another, is larger than ${mib(KEPT_BYTES_MAX / MIB)}, or is a machine that runs nowhere twice alike`;
  throw new KeptError(`this machine did not keep the job (${shortId(jobHash)}): ${why}; re-execute where it was sent`);
}

const blobFile = (digest: string): string => path.join(blobFolder(), digest);

const digestOf = (value: Json): string => toHex(nodeCrypto.sha256(canonicalBytes(value)));

type Spec = KeptJob["spec"] | KeptVm["spec"];
type Inputs = KeptJob["inputs"];

/** The digests of every file of the job: what its specification names, and its inputs. */
const filesOf = (spec: Spec, { entries }: Inputs): ReadonlySet<string> =>
  new Set([
    ...("vm" in spec ? blobsOfVm(spec) : [spec.module, spec.stdin]),
    ...entries.flatMap((entry) => (entry.kind === "file" ? [entry.digest] : [])),
  ]);

/** Nothing of another job is run in its place: it would come to something else, and speak against whoever ran the right one. */
async function assertItsOwn({ spec, inputs }: { spec: Spec; inputs: Inputs }, jobHash: string): Promise<void> {
  const refuse = (what: string): never => {
    throw new KeptError(`${what}: nothing was run. Re-execute where the job was sent`);
  };
  const found = digestOf(spec);
  if (found !== jobHash) refuse(`job ${shortId(jobHash)} was ordered, and ${folderOf(jobHash)} holds another (${shortId(found)})`);
  if (digestOf(inputs) !== spec.inputs) refuse(`the list of files in ${folderOf(jobHash)} is not the one of job ${shortId(jobHash)}`);
  for (const digest of filesOf(spec, inputs)) {
    if (digest === PYTHON.digest) continue;
    const blob = await fileBlob(blobFile(digest)).catch(() => null);
    if (blob === null) refuse(`this machine does not have every file of job ${shortId(jobHash)} any more: what is used least makes room`);
    await touchKept(blobFile(digest));
    if (blob?.digest !== digest) refuse(`${blobFile(digest)} is not the file of job ${shortId(jobHash)} any more`);
  }
}

/** A WebAssembly job; throws KeptError for a machine, and where what is kept is another job. */
export async function readKeptJob(jobHash: string): Promise<Kept<KeptJob>> {
  const kept = zKeptJob.safeParse(await readKept(jobHash)).data;
  if (!kept) throw new KeptError(`${folderOf(jobHash)} holds no job that this xeno can read: nothing was run`);
  await assertItsOwn(kept, jobHash);
  return { ...kept, blobFile };
}

/** A deterministic machine; null where the job is of the other kind. Throws KeptError where what is kept is another job. */
export async function readKeptVm(jobHash: string): Promise<Kept<KeptVm> | null> {
  const kept = zKeptVm.safeParse(await readKept(jobHash)).data;
  if (!kept) return null;
  await assertItsOwn(kept, jobHash);
  return { ...kept, blobFile };
}

/** The kept job as it was sent. */
export async function rebuildJob(jobHash: string): Promise<BuiltWork> {
  return rebuilt((await readKeptVm(jobHash)) ?? (await readKeptJob(jobHash)), jobHash);
}

/** The same from wherever it is kept. */
export async function rebuilt({ forgets, ...kept }: KeptWork, jobHash: string): Promise<BuiltWork> {
  const work = await workOfKept(kept, jobHash);
  return forgets ? forgetting(work) : work;
}

async function workOfKept({ spec, inputs, blobFile: fileOf }: KeptWork, jobHash: string): Promise<BuiltWork> {
  const named = "vm" in spec ? blobsOfVm(spec) : [spec.module, spec.stdin];
  const blobs = new Map<string, Blob>();
  const sizeOf = (digest: string): number => blobs.get(digest)?.size ?? 0;
  for (const digest of filesOf(spec, inputs))
    blobs.set(digest, digest === PYTHON.digest ? runtimeBlob(PYTHON) : await fileBlob(fileOf(digest)));
  const sizes = named.map((digest) => ({ digest, size: sizeOf(digest) }));
  // what is kept runs twice alike, which this driver's machines alone do
  if ("vm" in spec) return builtVm({ spec, jobHash, inputs, blobs, sizes }, VM_DRIVER);
  return builtJob({ spec, jobHash, inputs, blobs, moduleSize: sizeOf(spec.module), stdinSize: sizeOf(spec.stdin), segment: null });
}
