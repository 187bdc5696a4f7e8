/**
 * Jobs for the court: small modules in every way that a job can end, run in this process by the real engine: to their end, with
 * breakpoints, or one segment of them. Modules and their builds are made once; every run is a run of its own.
 */
import wabtInit from "wabt";
import { DRIVERS } from "@xenoservers/market";
import {
  canonicalBytes,
  endRootOf,
  jobHashOf,
  segmentHashOf,
  toHex,
  utf8,
  zJobSpec,
  type JobSpec,
  type Payload,
  type Segment,
} from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { ENGINE_VERSION, prepareModule, runJob, seededRandom, type Ending, type Finished, type Job } from "@xenoservers/engine";
import type { ReExecuted } from "@xenoservers/verify";
import { segment, trace } from "../../packages/guests/src/worker/breakpoints.ts";
import { describe } from "../../packages/guests/src/worker/result.ts";
import { Rng } from "../../packages/verify/src/testing/rng.ts";
import { generateModule } from "../engine/generate.ts";
import { HAND_MADE, MALFORMED, type ModuleEnd } from "./modules.ts";

const MIB = 1024 * 1024;
const PAGES_PER_MIB = 16;
const GENERATED = 16;
/** What a job of the court uses that ends by itself. */
export const FUEL_SEEN = 400_000n;
/** No job of the court may use more. */
export const FUEL_MAX = 1_000_000n;
const { engineIn } = DRIVERS.wasm;
/** The field of an offer that names the engine. */
export const ENGINE = { [engineIn]: ENGINE_VERSION };

export interface CourtModule {
  name: string;
  bytes: Uint8Array;
  ends: ModuleEnd;
}

export interface CourtJob {
  module: CourtModule;
  spec: JobSpec;
  jobHash: string;
}

/** What a run came to, as a result states it; `fuel` of all of the job up to there. */
export interface Came extends ReExecuted {
  reason: Payload<"result">["reason"];
}

export interface Traced {
  roots: string[];
  /** Manifests of states and their pieces, by digest. */
  states: Map<string, Uint8Array>;
}

/** `fuel`: used in the segment alone. `stateRoot`: null where the state to begin from is none of this job's. */
export interface SegmentCame extends Omit<Came, "rootAt"> {
  stateRoot: string | null;
}

const compiled = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>);
const digestOf = (bytes: Uint8Array): string => toHex(nodeCrypto.sha256(bytes));

/** Null where there is none; made when it is first asked for. */
const lazily = (make: (module: CourtModule) => WebAssembly.Module | null) => {
  const known = new Map<CourtModule, WebAssembly.Module | null>();
  return (module: CourtModule): WebAssembly.Module | null => {
    const before = known.get(module);
    if (before !== undefined) return before;
    const made = make(module);
    known.set(module, made);
    return made;
  };
};

const plainOf = lazily(({ bytes }) => {
  const prepared = prepareModule(bytes);
  return prepared.ok ? compiled(prepared.bytes) : null;
});
const tracedOf = lazily(({ bytes }) => {
  const prepared = prepareModule(bytes, true);
  return prepared.ok ? compiled(prepared.bytes) : null;
});

const KEPT_MAX = 40;

/** What the same job came to before: everybody's honest machine comes to the same, which test/engine holds. */
function remembering<A extends [CourtJob, ...unknown[]], V>(nameOf: (...args: A) => string, make: (...args: A) => V): (...args: A) => V {
  const known = new Map<string, V>();
  return (...args) => {
    const name = `${args[0].jobHash} ${nameOf(...args)}`;
    const before = known.get(name);
    if (before !== undefined) return before;
    if (known.size >= KEPT_MAX) known.clear();
    const made = make(...args);
    known.set(name, made);
    return made;
  };
}

/** All modules; the generated ones end in ways of their own. */
export async function courtModules(): Promise<CourtModule[]> {
  const wabt = await wabtInit();
  const made = HAND_MADE.map(({ name, ends, text }) => ({
    name,
    ends,
    bytes: wabt.parseWat(`${name}.wat`, text).toBinary({}).buffer.slice(),
  }));
  const broken = MALFORMED(made[0]?.bytes ?? new Uint8Array()).map((bytes, i) => ({
    name: `malformed ${i}`,
    ends: "malformed" as const,
    bytes,
  }));
  const generated = Array.from({ length: GENERATED }, (_, i) => ({
    name: `generated ${i + 1}`,
    ends: "by itself" as const,
    bytes: generateModule(i + 1, true),
  })).filter((module) => run(jobOf(module, new Rng(1), FUEL_MAX), FUEL_SEEN).fuel < FUEL_SEEN);
  return [...made, ...broken, ...generated];
}

const OUT = "/out";
export const NO_INPUTS = { entries: [], mounts: [{ path: OUT, writable: true, keep: true }] };

export function jobOf(module: CourtModule, rng: Rng, fuelMax: bigint): CourtJob {
  const spec = zJobSpec.parse({
    ...{
      module: digestOf(module.bytes),
      args: ["job", rng.hex(2)],
      env: [],
      inputs: digestOf(canonicalBytes(NO_INPUTS)),
      preopens: [[OUT, OUT]],
    },
    ...{ stdin: digestOf(utf8("")), engine: ENGINE_VERSION, memoryMibMax: 1, diskMibMax: 1, outputMibMax: 1 },
    ...{ fuelMax: fuelMax.toString(), seed: rng.hex(32), clockBaseMs: rng.below(1_000_000) },
  });
  return { module, spec, jobHash: jobHashOf(nodeCrypto, spec) };
}

/** The same job under another limit. */
export function withFuel({ module, spec }: CourtJob, fuelMax: bigint): CourtJob {
  const limited = { ...spec, fuelMax: fuelMax.toString() };
  return { module, spec: limited, jobHash: jobHashOf(nodeCrypto, limited) };
}

interface Streams {
  stdout: Uint8Array[];
  stderr: Uint8Array[];
}

function engineJob(spec: JobSpec, module: WebAssembly.Module, fuelMax: bigint, streams: Streams): Job {
  return {
    module,
    world: {
      args: spec.args,
      env: spec.env,
      clockBaseNs: BigInt(spec.clockBaseMs) * 1_000_000n,
      random: seededRandom(Buffer.from(spec.seed, "hex")),
    },
    mounts: [{ path: OUT, writable: true, entries: [] }],
    stdin: new Uint8Array(),
    fuelMax,
    memoryPagesMax: spec.memoryMibMax * PAGES_PER_MIB,
    diskBytesMax: spec.diskMibMax * MIB,
    streamBytesMax: spec.outputMibMax * MIB,
    sha256: nodeCrypto.sha256,
    stdout: (bytes) => void streams.stdout.push(bytes.slice()),
    stderr: (bytes) => void streams.stderr.push(bytes.slice()),
  };
}

const REASONS = {
  ...{ exit: "completed", trap: "completed", "fuel-limit": "fuel-limit", "output-limit": "output-limit", "memory-limit": "memory-limit" },
  ...{ malformed: "module-malformed", refused: "job-refused", stopped: "server-failed" },
} as const satisfies Record<Ending["kind"], Came["reason"]>;

const treeDigest = (treeAt: Finished["treeAt"]): string =>
  digestOf(
    canonicalBytes(
      [...treeAt(OUT)].map((entry) => {
        const path = `${OUT.slice(1)}/${entry.path}`;
        if (entry.kind === "file") return { path, kind: "file", digest: digestOf(Buffer.concat([...entry.chunks()])), size: entry.size };
        return entry.kind === "link" ? { path, kind: "link", target: entry.target } : { path, kind: "directory" };
      }),
    ),
  );

const NOTHING = { exitCode: null, fuel: 0n, memoryHash: null } as const;
const nothingLeft = (): Pick<Came, "engine" | "outputDigest" | "stdoutDigest" | "stderrDigest"> => ({
  engine: ENGINE_VERSION,
  outputDigest: digestOf(canonicalBytes([])),
  ...{ stdoutDigest: digestOf(utf8("")), stderrDigest: digestOf(utf8("")) },
});

function cameOf({ ending, fuel, memoryHash, treeAt }: Finished, { stdout, stderr }: Streams): Came {
  const reason = REASONS[ending.kind];
  return {
    ...{ engine: ENGINE_VERSION, reason, exitCode: describe(ending, "stopped").exitCode, fuel },
    memoryHash: memoryHash && toHex(memoryHash),
    outputDigest: reason === "job-refused" ? nothingLeft().outputDigest : treeDigest(treeAt),
    ...{ stdoutDigest: digestOf(Buffer.concat(stdout)), stderrDigest: digestOf(Buffer.concat(stderr)) },
  };
}

const malformed = (): Came => ({ ...nothingLeft(), ...NOTHING, reason: "module-malformed" });
const noStreams = (): Streams => ({ stdout: [], stderr: [] });

/** Runs the job until it ends, or has used so much. */
export const run = remembering(
  (_, most: bigint) => most.toString(),
  ({ module, spec }: CourtJob, most: bigint): Came => {
    const plain = plainOf(module);
    if (!plain) return malformed();
    const streams = noStreams();
    return cameOf(runJob(engineJob(spec, plain, most, streams)), streams);
  },
);

/** More breakpoints than any case asks for, but where a server states too little fuel. */
const ROOTS_MAX = 64n;

/** Where a second run ends, and a segment: where the first one did. */
const limitOf = ({ fuelMax }: JobSpec, upTo: bigint | null): bigint => (upTo !== null && upTo < BigInt(fuelMax) ? upTo : BigInt(fuelMax));

/** Null where the job has no build with breakpoints, or would meet too many. */
export const traced = remembering(
  (_, step: bigint, upTo: bigint | null) => `${step} ${upTo}`,
  ({ module, spec, jobHash }: CourtJob, step: bigint, upTo: bigint | null): Traced | null => {
    const build = tracedOf(module);
    const fuelMax = limitOf(spec, upTo);
    if (!build || run({ module, spec, jobHash }, fuelMax).fuel / step > ROOTS_MAX) return null;
    const states = new Map<string, Uint8Array>();
    const keep = (digest: string, bytes: Uint8Array): void => void states.set(digest, bytes);
    const job = engineJob(spec, build, fuelMax, noStreams());
    return { roots: trace(job, { kind: "trace", step: step.toString(), keepBytesMax: 256 * MIB }, keep).roots, states };
  },
);

/** One segment of the job, from states that somebody handed in; what is not the bytes of its digest is as if it were not there. */
export function segmentOf({ module, spec }: CourtJob, part: Segment, states: ReadonlyMap<string, Uint8Array>): SegmentCame {
  const build = tracedOf(module);
  const streams = noStreams();
  const piece = (digest: string): Uint8Array => {
    const bytes = states.get(digest);
    if (!bytes || digestOf(bytes) !== digest) throw new Error(`no piece ${digest}`);
    return bytes;
  };
  if (!build) return { ...malformed(), stateRoot: null };
  const { finished, stateRoot, fuel, from } = segment(
    engineJob(spec, build, limitOf(spec, part.upTo === null ? null : BigInt(part.upTo)), streams),
    { kind: "segment", ...part },
    piece,
  );
  if (!finished) return { ...nothingLeft(), ...NOTHING, reason: "segment-end", fuel: fuel - from, stateRoot };
  const came = cameOf(finished, streams);
  return { ...came, fuel: came.fuel - from, stateRoot: endRootOf(nodeCrypto, came) };
}

export const segmentHash = (job: CourtJob, part: Segment): string => segmentHashOf(nodeCrypto, job.jobHash, part);
