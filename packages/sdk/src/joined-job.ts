/**
 * Several jobs of one module as one, whose runs are done one after the other in one lease: what each of them reads and leaves stands behind
 * its number. Only what differs in arguments, environment, files and standard input can be joined.
 */
import { RUNS_MAX, canonicalBytes, jobHashOf, jobMisfit, toHex, type JobSpec, type Json } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { systemCrypto } from "@xenoservers/protocol/system";
import { bytesBlob, type Blob } from "./blob.ts";
import { forgetting } from "./built.ts";
import { InputError } from "./errors.ts";
import { builtJob, type BuiltJob } from "./job.ts";
import { moduleSizeOf } from "./runtimes.ts";

/** Of each run, or of each order. */
const ITS_OWN: ReadonlySet<string> = new Set(["args", "env", "inputs", "stdin", "seed", "clockBaseMs", "engine"]);

/** Words and names of one run; longer ones are a job of their own. */
const TEXT_BYTES_MAX = 64 * 1024;

/** What a joined job may bring in all: as much as each of them alone could. */
export interface Joinable {
  /** Jobs of one kind can be joined. */
  kind: string;
  bytes: number;
  bytesMax: number;
}

const MIB = 1024 * 1024;

/** Null: it is a job by itself. */
export function joinableOf({ spec, inputs, segment, stdinSize }: BuiltJob): Joinable | null {
  if (segment !== null || spec.runs) return null;
  const own = canonicalBytes([spec.args, spec.env, inputs.entries]);
  if (own.length > TEXT_BYTES_MAX) return null;
  const common = Object.entries(spec).filter(([key]) => !ITS_OWN.has(key));
  const kind = canonicalBytes({ ...(Object.fromEntries(common) as Record<string, Json>), mounts: inputs.mounts });
  const files = inputs.entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.size : 0), stdinSize);
  return { kind: toHex(systemCrypto.sha256(kind)), bytes: files, bytesMax: spec.diskMibMax * MIB };
}

/** Throws InputError where they cannot be one job. */
export function joinedJob(jobs: readonly BuiltJob[], engine: string): BuiltJob {
  const [first] = jobs;
  if (!first || jobs.length < 2 || jobs.length > RUNS_MAX) throw new InputError(`from 2 to ${RUNS_MAX} jobs can be one`);
  const nothing = bytesBlob(new Uint8Array());
  const blobs = new Map<string, Blob>([[nothing.digest, nothing]]);
  const inputs: InputTree = { entries: [], mounts: first.inputs.mounts };
  const runs: NonNullable<JobSpec["runs"]> = [];
  for (const [index, job] of jobs.entries()) {
    for (const [digest, blob] of job.blobs) blobs.set(digest, blob);
    for (const entry of job.inputs.entries) inputs.entries.push({ ...entry, path: `${index}/${entry.path}` });
    const { args, env, stdin } = job.spec;
    runs.push({ args, env, stdin, stdinSize: job.stdinSize });
  }
  const spec: JobSpec = {
    ...first.spec,
    ...{ args: [], env: [], stdin: nothing.digest, engine, runs },
    inputs: toHex(systemCrypto.sha256(canonicalBytes(inputs))),
    seed: toHex(systemCrypto.randomBytes(32)),
    clockBaseMs: Date.now(),
  };
  const module = blobs.get(spec.module);
  const misfit = jobMisfit({ spec, inputs, stdinSize: 0, moduleSize: module ? moduleSizeOf(module) : first.moduleSize });
  if (misfit !== null) throw new InputError(misfit);
  const jobHash = jobHashOf(systemCrypto, spec);
  const joined = builtJob({ spec, jobHash, inputs, blobs, moduleSize: first.moduleSize, stdinSize: 0, segment: null });
  return jobs.some(({ message }) => message.forgets) ? forgetting(joined) : joined;
}
