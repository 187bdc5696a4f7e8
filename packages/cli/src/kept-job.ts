/** The jobs a customer sent, kept on this machine so that it can run them again and compare: `xeno verify LEASE --re-execute`. */
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { zJobSpec } from "@xenoservers/protocol";
import { zInputTree } from "@xenoservers/protocol/channel";
import { PYTHON, fileBlob, runtimeBlob, type Blob, type BuiltJob } from "@xenoservers/sdk";
import { z } from "zod";
import { home, writePrivate } from "./home.ts";
import { UserError, mib } from "./ui.ts";

/** Larger jobs are not kept: their files would be copied on every run. */
const KEPT_BYTES_MAX = 256 * 1024 * 1024;
const MIB = 1024 * 1024;

const zKeptJob = z.strictObject({ spec: zJobSpec, inputs: zInputTree });
export type KeptJob = z.infer<typeof zKeptJob>;

const folderOf = (jobHash: string): string => path.join(home.data, "jobs", jobHash);
const blobFolder = (): string => path.join(home.data, "blobs");

/** Idempotent; blobs that several jobs share are kept once. */
export async function keepJob({ jobHash, spec, inputs, blobs }: BuiltJob): Promise<void> {
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

export async function readKeptJob(jobHash: string): Promise<KeptJob & { blobFile(digest: string): string }> {
  const text = await readFile(path.join(folderOf(jobHash), "job.json"), "utf8").catch(() => {
    throw new UserError(
      `this machine did not keep the job (${jobHash.slice(0, 12)}): it was sent from another, or is larger than ${mib(KEPT_BYTES_MAX / MIB)}; re-execute where it was sent`,
    );
  });
  return { ...zKeptJob.parse(JSON.parse(text)), blobFile: (digest) => path.join(blobFolder(), digest) };
}

/** The kept job as it was sent. */
export async function rebuildJob(jobHash: string): Promise<BuiltJob> {
  const { spec, inputs, blobFile } = await readKeptJob(jobHash);
  const digests = [spec.module, spec.stdin, ...inputs.entries.flatMap((entry) => (entry.kind === "file" ? [entry.digest] : []))];
  const blobs = new Map<string, Blob>();
  for (const digest of new Set(digests)) blobs.set(digest, digest === PYTHON.digest ? runtimeBlob(PYTHON) : await fileBlob(blobFile(digest)));
  return { spec, jobHash, inputs, blobs, moduleSize: blobs.get(spec.module)!.size, stdinSize: blobs.get(spec.stdin)!.size, segment: null };
}
