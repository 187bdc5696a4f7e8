/**
 * The driver for wasm jobs on `guests`: sandboxed processes from a pool, each for the jobs of one customer. Who controls the inputs: the
 * customer.
 */
import { link, copyFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import {
  ENGINE_VERSION,
  ModuleCache,
  WORKER_FILES,
  adopt,
  followTaken,
  letGuestRead,
  originalOf,
  type Guest,
  type Lane,
  type Runtime,
  type Sandbox,
  type TakenWorker,
  openWorkers,
  type WorkerJob,
  type Workers,
  type WorkersOptions,
} from "@xenoservers/guests";
import type { Hold } from "@xenoservers/market";
import { RUNS_FILE, jobMisfit, runSeedOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { GuestToken, RunningGuest } from "../driver.ts";
import { holdsOf } from "../holds.ts";
import { RefusedJob } from "../refused.ts";
import type { OwnWasmDriver, PreparedJob } from "./wasm-job.ts";
import { endingOf, monotonicMs } from "./worker-result.ts";

const MIB = 1024 * 1024;

function running(guest: Guest, token: GuestToken): RunningGuest {
  return {
    token,
    ended: guest.ended.then(endingOf),
    onChange: (changed) => guest.onChange(changed),
    readStream: (stream, offset) => guest.read(stream, offset),
    readOutput: (digest, offset, length) => guest.readKept(digest, offset, length),
    stop: () => guest.stop(),
    pause: () => guest.signal("SIGSTOP"),
    resume: () => guest.signal("SIGCONT"),
    kill: () => guest.kill(),
    release: () => guest.release(),
    dispose: () => guest.dispose(),
  };
}

const foundAgain = (token: GuestToken, { limits }: Sandbox): Promise<Guest | null> =>
  adopt(String(token["folder"]), { pid: Number(token["pid"]), startTicks: String(token["startTicks"]) }, limits);

async function place(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
  await letGuestRead(to);
}

/**
 * Throws RefusedJob where the job does not fit what was ordered. `module`: the file that came with it or was kept; null for the server's
 * own.
 */
async function mustFit({ spec, inputs, blobFile }: PreparedJob, module: string | null): Promise<void> {
  const sizeOf = async (file: string): Promise<number> => (await stat(file)).size;
  const misfit = jobMisfit({
    spec,
    inputs,
    stdinSize: await sizeOf(blobFile(spec.stdin)),
    moduleSize: module === null ? 0 : await sizeOf(module),
  });
  if (misfit !== null) throw new RefusedJob(misfit);
}

/** Of each run. */
const stdinsOf = ({ spec }: PreparedJob): string[] => [spec.stdin, ...(spec.runs ?? []).map(({ stdin }) => stdin)];

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}

/** What a trace may leave on disk: as much as the lease could. */
function breakpointsOf(
  breakpoints: PreparedJob["breakpoints"],
  { memoryMibMax, diskMibMax }: PreparedJob["spec"],
): WorkerJob["breakpoints"] {
  if (breakpoints === null) return null;
  if (breakpoints.kind === "trace") return { ...breakpoints, keepBytesMax: (memoryMibMax + diskMibMax) * MIB };
  const { kind, from, step, index } = breakpoints;
  return { kind, from, step, index };
}

function runsOf({ runs, seed }: PreparedJob["spec"]): Pick<WorkerJob, "runs"> {
  if (!runs) return {};
  const list = runs.map(({ args, env, stdin }, index) => ({ args, env, stdin, seed: runSeedOf(nodeCrypto, seed, index) }));
  return { runs: { list, file: RUNS_FILE } };
}

/** What a guest process is told of its job; `module`: where the module lies, and in what form. */
const workerJobOf = (
  { spec, inputs, fuelMax, runMsMax, breakpoints, unjudged = false }: PreparedJob,
  module: Pick<WorkerJob, "modulePath" | "prepared" | "comesWithEngine" | "keepPrepared" | "keepCode">,
): WorkerJob => ({
  ...module,
  module: spec.module,
  args: spec.args,
  env: spec.env,
  inputs: inputs.entries,
  mounts: inputs.mounts,
  preopens: spec.preopens,
  stdin: spec.stdin,
  seed: spec.seed,
  clockBaseMs: spec.clockBaseMs,
  memoryMibMax: spec.memoryMibMax,
  diskMibMax: spec.diskMibMax,
  outputMibMax: spec.outputMibMax,
  fuelMax: fuelMax.toString(),
  ...runsOf(spec),
  runMsMax,
  unjudged,
  breakpoints: breakpointsOf(breakpoints, spec),
});

/** Jobs that one process may serve, one after the other: never one whose result is to judge. */
const laneOf = ({ customer, sharedBy, spec, vcpu, breakpoints }: PreparedJob): Lane | null => {
  if (breakpoints !== null || sharedBy === undefined) return null;
  const { memoryMibMax, diskMibMax, outputMibMax, module } = spec;
  return { customer, key: sharedBy, size: { memoryMibMax, diskMibMax, outputMibMax, vcpu }, module };
};

/** What does not hold guests here although the sandbox may be strong, in words. */
const withoutWords = ({ beneath: { user, share } }: Sandbox): string => [user, share].filter((each) => each !== "").join("; ");

/** Limits of its own are put on by what filters its calls. */
const holdsIn = ({ beneath: { namespaces, calls, user }, limits }: Sandbox): Hold[] =>
  holdsOf({
    ownUser: user === "",
    calls: calls === "",
    rlimits: calls === "",
    network: namespaces === "",
    groups: limits.kind !== "process",
    files: calls === "",
  });

/** What the guest handed in of its module, where that was asked for. */
async function keep(modules: ModuleCache, module: { customer: string; digest: string }, folder: string, job: WorkerJob): Promise<void> {
  if (job.keepPrepared) await modules.keep(module, folder);
  if (job.keepCode) await modules.keepCode(module, folder);
}

async function letGo(worker: TakenWorker): Promise<void> {
  const guest = followTaken(worker);
  await guest.kill();
  guest.release();
  await guest.dispose();
}

interface WasmDriverOptions extends WorkersOptions {
  /** Where rewritten modules are; in its own folder where nothing is said. */
  modules?: string;
  /** Open already; the driver closes them. */
  workers?: Workers | null;
}

export async function createWasmDriver(options: WasmDriverOptions): Promise<OwnWasmDriver> {
  const { folder, modules: kept } = options;
  const { python, sandbox, pool } = options.workers ?? (await openWorkers(options));
  const runtimes = new Map<string, Runtime>([[python.digest, python]]);
  const modules = new ModuleCache(kept ?? path.join(folder, "modules"));
  await modules.open();

  return {
    engine: ENGINE_VERSION,
    doesRuns: true,
    sandbox: { strength: sandbox.strength, why: sandbox.why, without: withoutWords(sandbox), holds: holdsIn(sandbox) },
    hasRuntime: (digest) => runtimes.has(digest),
    monotonicMs,
    async prepare(job: PreparedJob) {
      const runtime = runtimes.get(job.spec.module);
      const { breakpoints } = job;
      const module = { customer: job.customer, digest: job.spec.module };
      const known = breakpoints || runtime ? null : await modules.find(module);
      const bring = once(async () => job.bringModule?.());
      if ((known === null && !runtime) || stdinsOf(job).includes(job.spec.module)) await bring();
      await mustFit(job, runtime || known !== null ? null : job.blobFile(job.spec.module));
      if (!breakpoints) pool.expect(runtime ? { path: sandbox.runtimePath(runtime.name) } : known === null ? null : { file: known });
      const worker = breakpoints ? await pool.takeDeep() : await pool.take(known, laneOf(job));
      if (job.forgets) await modules.forget(module); // the worker has its copy
      const { copy } = worker;
      const isCompiled = worker.compiled === job.spec.module;
      const inside = (digest: string): string => path.join(worker.folder, WORKER_FILES.blobs, digest);
      const files = new Set([...stdinsOf(job), ...job.inputs.entries.flatMap((entry) => (entry.kind === "file" ? [entry.digest] : []))]);
      if (!runtime && copy === null && !isCompiled) files.add(job.spec.module);
      if (breakpoints?.kind === "segment") for (const { digest } of breakpoints.pieces) files.add(digest);
      const discard = (): Promise<void> => letGo(worker);
      try {
        // it may be an input too, or what was kept of it is gone since it was found
        if (files.has(job.spec.module)) await bring();
        for (const digest of files) await place(job.blobFile(digest), inside(digest));
        await writeFile(path.join(worker.folder, "lease"), job.lease);
      } catch (error) {
        await discard();
        throw error;
      }
      const workerJob = workerJobOf(job, {
        modulePath: runtime
          ? sandbox.runtimePath(breakpoints ? originalOf(runtime) : runtime.name)
          : (copy ?? `${WORKER_FILES.blobs}/${job.spec.module}`),
        prepared: (runtime !== undefined && !breakpoints) || copy !== null,
        comesWithEngine: runtime !== undefined,
        keepPrepared: known === null && !runtime && !breakpoints && !job.forgets,
        keepCode: job.keepsCode === true && !runtime && !breakpoints && !job.forgets,
      });
      const token: GuestToken = { folder: worker.apart, pid: worker.id.pid, startTicks: worker.id.startTicks };
      return {
        token,
        async begin() {
          // where it is not kept, the next job tries again
          const guest = followTaken(worker, () => keep(modules, module, worker.folder, workerJob));
          await worker.hand(workerJob, job.vcpu);
          return running(guest, token);
        },
        discard,
      };
    },
    async adopt(token) {
      const guest = await foundAgain(token, sandbox);
      return guest && running(guest, token);
    },
    makeRoom: () => modules.makeRoom(),
    makeMemory: (memoryMib) => pool.makeRoom(memoryMib),
    close: () => pool.close(),
  };
}
