/** A job as its customer has it, turned into digests: what the order commits to and what travels in the channel. */
import type { Driver } from "@xenoservers/market";
import { canonicalBytes, jobHashOf, jobMisfit, toHex, type JobSpec } from "@xenoservers/protocol";
import type { ChannelHeader, ChannelMount, InputTree, SegmentInput } from "@xenoservers/protocol/channel";
import { systemCrypto } from "@xenoservers/protocol/system";
import { moduleSizeOf } from "./runtimes.ts";
import type { Blob, SourceEntry } from "./blob.ts";
import { InputError } from "./errors.ts";

export interface JobInput {
  module: Blob;
  args: string[];
  env: [string, string][];
  mounts: { mount: ChannelMount; entries: SourceEntry[] }[];
  /**
   * What the guest finds open from descriptor 3 on: a name, and the path of a mount; `/` is where paths that begin with no slash lead. Each
   * mount under its own path where nothing is said.
   */
  preopens?: [name: string, path: string][];
  stdin: Blob;
  engine: string;
  memoryMibMax: number;
  diskMibMax: number;
  outputMibMax: number;
  fuelMax: bigint;
  /** What the guest draws from (32 bytes) and where its clock begins (Unix ms); fresh ones unless given. */
  seed?: Uint8Array;
  clockBaseMs?: number;
}

/** What runs it. */
const DRIVER = "wasm" satisfies Driver;

interface JobParts {
  spec: JobSpec;
  jobHash: string;
  inputs: InputTree;
  blobs: Map<string, Blob>;
  moduleSize: number;
  stdinSize: number;
  /** Set where a referee is to run only this part; its pieces are among the blobs. */
  segment: SegmentInput | null;
}

export interface BuiltJob extends JobParts {
  driver: typeof DRIVER;
  /** How it travels in the channel. */
  message: Extract<ChannelHeader, { t: "job" }>;
}

export function builtJob(parts: JobParts): BuiltJob {
  const { spec, inputs, moduleSize, stdinSize, segment } = parts;
  return { ...parts, driver: DRIVER, message: { t: "job", spec, inputs, moduleSize, stdinSize, segment } };
}

/** Mounted folders as one tree of digests; their files' bytes join `blobs`. */
export function inputTreeOf(mounts: JobInput["mounts"], blobs: Map<string, Blob>): InputTree {
  const entries: InputTree["entries"] = [];
  for (const { mount, entries: below } of mounts) {
    for (const entry of below) {
      const path = `${mount.path.slice(1)}/${entry.path}`;
      if (entry.kind === "file") {
        blobs.set(entry.blob.digest, entry.blob);
        entries.push({ path, kind: "file", digest: entry.blob.digest, size: entry.blob.size });
      } else entries.push(entry.kind === "link" ? { path, kind: "link", target: entry.target } : { path, kind: "directory" });
    }
  }
  return { entries, mounts: mounts.map(({ mount }) => mount) };
}

/** Throws InputError, which names what to change: what its server would refuse is never ordered. */
export function buildJob({
  module,
  args,
  env,
  mounts,
  preopens = mounts.map(({ mount: { path } }) => [path, path]),
  stdin,
  engine,
  memoryMibMax,
  diskMibMax,
  outputMibMax,
  fuelMax,
  ...begin
}: JobInput): BuiltJob {
  const blobs = new Map<string, Blob>([
    [module.digest, module],
    [stdin.digest, stdin],
  ]);
  const inputs = inputTreeOf(mounts, blobs);
  const spec: JobSpec = {
    module: module.digest,
    args,
    env,
    inputs: toHex(systemCrypto.sha256(canonicalBytes(inputs))),
    preopens,
    stdin: stdin.digest,
    engine,
    memoryMibMax,
    diskMibMax,
    outputMibMax,
    fuelMax: fuelMax.toString(),
    seed: toHex(begin.seed ?? systemCrypto.randomBytes(32)),
    clockBaseMs: begin.clockBaseMs ?? Date.now(),
  };
  const misfit = jobMisfit({ spec, inputs, stdinSize: stdin.size, moduleSize: moduleSizeOf(module) });
  if (misfit !== null) throw new InputError(misfit);
  const jobHash = jobHashOf(systemCrypto, spec);
  return builtJob({ spec, jobHash, inputs, blobs, moduleSize: module.size, stdinSize: stdin.size, segment: null });
}
