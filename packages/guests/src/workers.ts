/** The walls that guests run behind, and the processes that wait there for a job. Who controls the inputs: this user. */
import { stat } from "node:fs/promises";
import path from "node:path";
import { keptSandbox } from "./kept-sandbox.ts";
import { WorkerPool, type PoolOptions } from "./pool.ts";
import { pythonRuntime, runtimeCode, runtimeFiles, type Runtime } from "./runtimes.ts";
import { createSandbox, type Sandbox } from "./sandbox.ts";

export interface Workers {
  python: Runtime;
  sandbox: Sandbox;
  pool: WorkerPool;
}

export interface WorkersOptions extends PoolOptions {
  folder: string;
  /** Where rewritten runtimes are kept from one start to the next. */
  cache: string;
  poolSize: number;
  /** Where a sandbox that was tried is kept for whoever comes next; tried here where nothing is said. */
  sandboxes?: string;
  /** Machine code of Python may be made first, for a script; told before that, as it takes some seconds, once. Absent: none is made. */
  onMaking?: () => void;
  /** Guest folders that leases of an earlier daemon still use. */
  inUse: readonly string[];
}

/** A machine that is there for one run, as a pipeline's, would pay for code that nobody has time to use. */
export const isOfAnEarlierRun = async (file: string): Promise<boolean> => (await stat(file)).mtimeMs < performance.timeOrigin;

async function sandboxFor({ folder, cache, sandboxes, onMaking, inUse }: WorkersOptions, runtime: Runtime): Promise<Sandbox> {
  const files = await runtimeFiles(runtime, cache);
  if (sandboxes !== undefined) {
    const prepared = files.get(runtime.name)!;
    const code = await runtimeCode(runtime, prepared, cache, (await isOfAnEarlierRun(prepared)) ? (onMaking ?? null) : null);
    return keptSandbox(sandboxes, new Map([...files, ...code]));
  }
  return createSandbox(path.join(folder, "sandbox"), files, inUse.length > 0);
}

export async function openWorkers(options: WorkersOptions): Promise<Workers> {
  const { folder, cache, poolSize, inUse } = options;
  const python = await pythonRuntime(cache);
  const sandbox = await sandboxFor(options, python);
  const pool = new WorkerPool(sandbox, path.join(folder, "workers"), poolSize, options);
  await pool.open(inUse);
  return { python, sandbox, pool };
}
