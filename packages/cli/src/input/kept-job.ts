/** The jobs a customer sent, kept on this machine so that it can run them again and compare: `xeno verify LEASE --re-execute`. */
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { blobsOfVm, zJobSpec, zVmSpec } from "@xenoservers/protocol";
import { zInputTree } from "@xenoservers/protocol/channel";
import { PYTHON, builtJob, builtVm, fileBlob, runtimeBlob, type Blob, type BuiltWork } from "@xenoservers/sdk";
import { z } from "zod";
import { home, writePrivate } from "./home.ts";
import { UserError, mib } from "../output/ui.ts";

/** Larger jobs are not kept: their files would be copied on every run. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;
const MIB = 1024 * 1024;

const zKeptJob = z.strictObject({ spec: zJobSpec, inputs: zInputTree });
const zKeptVm = z.strictObject({ spec: zVmSpec, inputs: zInputTree });
export type KeptJob = z.infer<typeof zKeptJob>;
export type KeptVm = z.infer<typeof zKeptVm>;

const folderOf = (jobHash: string): string => path.join(home.data, "jobs", jobHash);
const blobFolder = (): string => path.join(home.data, "blobs");

/** Idempotent; blobs that several jobs share are kept once. Of machines, those that can be run again. */
export async function keepJob(job: BuiltWork): Promise<void> {
  const { jobHash, spec, inputs, blobs } = job;
  if (job.spec.engine === null) return;
  const own = [...blobs.values()].filter(({ digest }) => digest !== PYTHON.digest);
  if (own.reduce((sum, { size }) => sum + size, 0) > KEPT_BYTES_MAX) return;
  await mkdir(blobFolder(), { recursive: true, mode: 0o700 });
  for (const { digest, size, read } of own) {
    const file = path.join(blobFolder(), digest);
    const there = await access(file).then(
      () => true,
      () => false,
    );
    if (!there) await writeFile(file, await read(0, size), { mode: 0o600 });
  }
  await mkdir(folderOf(jobHash), { recursive: true, mode: 0o700 });
  await writePrivate(path.join(folderOf(jobHash), "job.json"), JSON.stringify({ spec, inputs }));
}

export type Kept<T> = T & { blobFile(digest: string): string };

async function readKept(jobHash: string): Promise<unknown> {
  const text = await readFile(path.join(folderOf(jobHash), "job.json"), "utf8").catch(() => {
    const why = `it was sent from another, is larger than ${mib(KEPT_BYTES_MAX / MIB)}, or is a machine that runs nowhere twice alike`;
    throw new UserError(`this machine did not keep the job (${jobHash.slice(0, 12)}): ${why}; re-execute where it was sent`);
  });
  return JSON.parse(text);
}

const blobFile = (digest: string): string => path.join(blobFolder(), digest);

/** A WebAssembly job; throws UserError for a machine. */
export async function readKeptJob(jobHash: string): Promise<Kept<KeptJob>> {
  return { ...zKeptJob.parse(await readKept(jobHash)), blobFile };
}

/** A deterministic machine; null where the job is of the other kind. */
export async function readKeptVm(jobHash: string): Promise<Kept<KeptVm> | null> {
  const kept = zKeptVm.safeParse(await readKept(jobHash));
  return kept.success ? { ...kept.data, blobFile } : null;
}

/** The kept job as it was sent. */
export async function rebuildJob(jobHash: string): Promise<BuiltWork> {
  return rebuilt((await readKeptVm(jobHash)) ?? (await readKeptJob(jobHash)), jobHash);
}

/** The same from wherever it is kept. */
export async function rebuilt({ spec, inputs, blobFile: fileOf }: Kept<KeptJob> | Kept<KeptVm>, jobHash: string): Promise<BuiltWork> {
  const named = "vm" in spec ? blobsOfVm(spec) : [spec.module, spec.stdin];
  const blobs = new Map<string, Blob>();
  const sizeOf = (digest: string): number => blobs.get(digest)?.size ?? 0;
  for (const digest of new Set([...named, ...inputs.entries.flatMap((entry) => (entry.kind === "file" ? [entry.digest] : []))]))
    blobs.set(digest, digest === PYTHON.digest ? runtimeBlob(PYTHON) : await fileBlob(fileOf(digest)));
  if ("vm" in spec) return builtVm({ spec, jobHash, inputs, blobs, sizes: named.map((digest) => ({ digest, size: sizeOf(digest) })) });
  return builtJob({ spec, jobHash, inputs, blobs, moduleSize: sizeOf(spec.module), stdinSize: sizeOf(spec.stdin), segment: null });
}
