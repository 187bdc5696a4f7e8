/** The driver for wasm jobs on `guests`: single-use sandboxed processes from a pool. */
import { link, copyFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  ENGINE_VERSION,
  ModuleCache,
  WORKER_FILES,
  WorkerPool,
  adopt,
  createSandbox,
  followTaken,
  preparedRuntime,
  pythonRuntime,
  readGuestFile,
  type Guest,
  type GuestEnd,
  type Runtime,
  type Sandbox,
  type WorkerJob,
  type WorkerResult,
} from "@xenoservers/guests";
import { TRACE_ROOTS_MAX, zFuel, zId } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import type { GuestEnding, GuestToken, RunningGuest } from "../driver.ts";
import type { ResultReasonName } from "../job.ts";
import type { PreparedJob, WasmDriver } from "./wasm-job.ts";
import { z } from "zod";

const REASONS: Record<WorkerResult["ending"], ResultReasonName> = {
  exit: "completed",
  "segment-end": "segment-end",
  trap: "completed",
  "fuel-limit": "fuel-limit",
  "output-limit": "output-limit",
  "memory-limit": "memory-limit",
  malformed: "module-malformed",
  stopped: "stopped",
  timeout: "stopped",
};
const MIB = 1024 * 1024;
const DIGEST = /^[0-9a-f]{64}$/;

const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** What a guest process says of itself; one that says anything else has failed. */
const zWorkerResult = z.object({
  ending: z.enum(["exit", "trap", "segment-end", "fuel-limit", "output-limit", "memory-limit", "malformed", "stopped", "timeout"]),
  exitCode: z.int().min(0).max(255).nullable(),
  detail: z.string().max(1_000),
  fuel: zFuel,
  fuelInAll: zFuel,
  memoryHash: zId.nullable(),
  roots: z.array(zId).max(TRACE_ROOTS_MAX).nullable(),
  stateRoot: zId.nullable(),
  endedMonotonicMs: z.number(),
  tree: z
    .array(
      z.object({
        path: z.string().max(4096),
        kind: z.enum(["file", "directory", "link"]),
        digest: z.string().optional(),
        size: z.int().min(0).optional(),
        target: z.string().min(1).max(4096).optional(),
      }),
    )
    .max(100_000),
});

/** A guest's own list of what it left: only well-formed entries count. */
function treeOf(result: z.infer<typeof zWorkerResult>): InputEntry[] {
  return result.tree.flatMap(({ path: at, kind, digest, size, target }): InputEntry[] => {
    if (kind === "file") return digest !== undefined && DIGEST.test(digest) && size !== undefined ? [{ path: at, kind, digest, size }] : [];
    return kind === "link" ? (target === undefined ? [] : [{ path: at, kind, target }]) : [{ path: at, kind }];
  });
}

function endingOf(end: GuestEnd): GuestEnding {
  if (end.kind === "host-failure") return { kind: "host-failure", detail: end.detail, endedMonotonicMs: monotonicMs() };
  const said = zWorkerResult.safeParse(end.result);
  if (!said.success) return { kind: "host-failure", detail: "the guest process handed in nonsense", endedMonotonicMs: monotonicMs() };
  const { ending, exitCode, detail, fuel, fuelInAll, memoryHash, roots, stateRoot, endedMonotonicMs } = said.data;
  return {
    kind: "result",
    reason: REASONS[ending],
    exitCode,
    detail,
    fuel: BigInt(fuel),
    fuelInAll: BigInt(fuelInAll),
    roots,
    stateRoot,
    memoryHash,
    endedMonotonicMs: Math.min(endedMonotonicMs, monotonicMs()),
    tree: treeOf(said.data),
  };
}

function running(guest: Guest): RunningGuest {
  return {
    token: { folder: guest.folder, pid: guest.id.pid, startTicks: guest.id.startTicks },
    ended: guest.ended.then(endingOf),
    onChange: (changed) => guest.onChange(changed),
    readStream: (stream, offset) => guest.read(stream, offset),
    readOutput: (digest, offset, length) =>
      DIGEST.test(digest) ? readGuestFile(path.join(guest.folder, WORKER_FILES.out, digest), offset, length) : Promise.resolve(new Uint8Array(0)),
    stop: () => guest.stop(),
    pause: () => guest.signal("SIGSTOP"),
    resume: () => guest.signal("SIGCONT"),
    kill: () => guest.kill(),
    release: () => guest.release(),
    dispose: () => rm(guest.folder, { recursive: true, force: true }),
  };
}

async function place(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

/** What a trace may leave on disk: as much as the lease could. */
function checkpointsOf(checkpoints: PreparedJob["checkpoints"], { memoryMibMax, diskMibMax }: PreparedJob["spec"]): WorkerJob["checkpoints"] {
  if (checkpoints === null) return null;
  if (checkpoints.kind === "trace") return { ...checkpoints, keepBytesMax: (memoryMibMax + diskMibMax) * MIB };
  const { kind, from, step, index } = checkpoints;
  return { kind, from, step, index };
}

export interface WasmDriverOptions {
  folder: string;
  /** Where rewritten runtimes are kept from one start to the next. */
  cache: string;
  poolSize: number;
  /** Guest folders that leases of an earlier daemon still use. */
  inUse: readonly string[];
}

export async function createWasmDriver({ folder, cache, poolSize, inUse }: WasmDriverOptions): Promise<WasmDriver> {
  const python = await pythonRuntime();
  const runtimes = new Map<string, Runtime>([[python.digest, python]]);
  const sandbox: Sandbox = await createSandbox(path.join(folder, "sandbox"), new Map([[python.name, await preparedRuntime(python, cache)]]), inUse.length > 0);
  const modules = new ModuleCache(path.join(folder, "modules"));
  await modules.open();
  const pool = new WorkerPool(sandbox, path.join(folder, "workers"), poolSize);
  await pool.open(inUse);

  return {
    engine: ENGINE_VERSION,
    sandbox: { strength: sandbox.strength, why: sandbox.why },
    hasRuntime: (digest) => runtimes.has(digest),
    monotonicMs,
    async prepare(job: PreparedJob) {
      const runtime = runtimes.get(job.spec.module);
      const { checkpoints } = job;
      const module = { customer: job.customer, digest: job.spec.module };
      const known = checkpoints || runtime ? null : modules.find(module);
      if (!checkpoints) pool.expect(runtime ? { path: sandbox.runtimePath(runtime.name) } : known === null ? null : { file: known });
      const worker = checkpoints ? await pool.takeDeep() : await pool.take(known);
      const { copy } = worker;
      const inside = (digest: string): string => path.join(worker.folder, WORKER_FILES.blobs, digest);
      const files = new Set([job.spec.stdin, ...job.inputs.entries.flatMap((entry) => (entry.kind === "file" ? [entry.digest] : []))]);
      if (!runtime && copy === null) files.add(job.spec.module);
      if (checkpoints?.kind === "segment") for (const { digest } of checkpoints.pieces) files.add(digest);
      const discard = async (): Promise<void> => {
        const guest = followTaken(worker);
        await guest.kill();
        guest.release();
        await rm(worker.folder, { recursive: true, force: true });
      };
      try {
        for (const digest of files) await place(job.blobFile(digest), inside(digest));
      } catch (error) {
        await discard();
        throw error;
      }
      const workerJob: WorkerJob = {
        modulePath: runtime ? sandbox.runtimePath(runtime.name) : (copy ?? `${WORKER_FILES.blobs}/${job.spec.module}`),
        prepared: runtime !== undefined || copy !== null,
        keepPrepared: known === null && !runtime && !checkpoints,
        args: job.spec.args,
        env: job.spec.env,
        inputs: job.inputs.entries,
        mounts: job.inputs.mounts,
        stdin: job.spec.stdin,
        seed: job.spec.seed,
        clockBaseMs: job.spec.clockBaseMs,
        memoryMibMax: job.spec.memoryMibMax,
        diskMibMax: job.spec.diskMibMax,
        outputMibMax: job.spec.outputMibMax,
        fuelMax: job.fuelMax.toString(),
        runMsMax: job.runMsMax,
        checkpoints: checkpointsOf(checkpoints, job.spec),
      };
      await writeFile(path.join(worker.folder, "lease"), job.lease);
      const token: GuestToken = { folder: worker.folder, pid: worker.id.pid, startTicks: worker.id.startTicks };
      return {
        token,
        async begin() {
          const guest = followTaken(worker);
          worker.hand(workerJob);
          if (workerJob.keepPrepared) void guest.ended.then(() => modules.keep(module, worker.folder)).catch(() => {}); // the next job tries again
          return running(guest);
        },
        discard,
      };
    },
    adopt: async (token) => running(adopt(String(token["folder"]), { pid: Number(token["pid"]), startTicks: String(token["startTicks"]) })),
    close: () => pool.close(),
  };
}
