/**
 * Runs one WASI command module: bytes in, bytes out. Everything a guest does ends in an Ending; only the host's own failures are thrown.
 * How the guest is called is handed in (`invoke`), so that a host can interrupt it.
 */
import { ERRNO, WasiError } from "./wasi/abi.ts";
import { descriptorCalls } from "./wasi/descriptor-calls.ts";
import { Descriptors } from "./wasi/descriptors.ts";
import { FileSystem, type TreeEntry } from "./wasi/file-system.ts";
import { GuestMemory } from "./wasi/guest-memory.ts";
import type { World } from "./wasi/host.ts";
import { pathCalls } from "./wasi/path-calls.ts";
import { GuestExit, processCalls } from "./wasi/process-calls.ts";

export interface Mount {
  /** Absolute guest path of plain names: `/in`, `/work/data`. */
  path: string;
  writable: boolean;
  entries: readonly TreeEntry[];
}

export interface Job {
  module: WebAssembly.Module;
  world: World;
  mounts: readonly Mount[];
  stdin: Uint8Array;
  /** Bytes the guest's files may take, inputs included. */
  diskBytesMax: number;
  /** Bytes that standard output and error may take together. */
  streamBytesMax: number;
  stdout(bytes: Uint8Array): void;
  stderr(bytes: Uint8Array): void;
}

export type Ending =
  | { kind: "exit"; code: number }
  /** The guest broke a rule of WebAssembly: a result like any other. */
  | { kind: "trap"; message: string }
  | { kind: "output-limit" }
  | { kind: "memory-limit" }
  | { kind: "malformed"; message: string };

export interface Finished {
  ending: Ending;
  /** Size of the guest's linear memory at the end; 0 when it never started. */
  memoryBytes: number;
  /** The tree at a mount's path as the guest left it. */
  treeAt(path: string): TreeEntry[];
}

export const WASI_MODULE = "wasi_snapshot_preview1";
/** Exit code of a trapped guest, as shells show SIGABRT. */
export const TRAP_EXIT_CODE = 134;

class OutputLimit extends Error {}

const partsOf = (path: string): string[] => path.split("/").filter(Boolean);

/** What a module must have to be run; null when it has. */
export function moduleProblem(module: WebAssembly.Module): string | null {
  const foreign = WebAssembly.Module.imports(module).find(({ module: from }) => from !== WASI_MODULE);
  if (foreign) return `it imports ${foreign.module}.${foreign.name}; only ${WASI_MODULE} is offered (build for wasm32-wasip1)`;
  const exports = WebAssembly.Module.exports(module);
  if (!exports.some(({ name, kind }) => name === "_start" && kind === "function")) return "it exports no _start function (build a command, not a reactor)";
  if (!exports.some(({ name, kind }) => name === "memory" && kind === "memory")) return "it exports no memory";
  return null;
}

export function runJob(job: Job, invoke: (start: () => void) => void = (start) => start()): Finished {
  const files = new FileSystem(job.diskBytesMax, () => job.world.realtimeNs());
  const memory = new GuestMemory();
  const descriptors = new Descriptors();
  let streamed = 0;
  const limited = (write: (bytes: Uint8Array) => void) => (bytes: Uint8Array) => {
    const room = job.streamBytesMax - streamed;
    streamed += Math.min(bytes.length, room);
    if (room > 0) write(bytes.subarray(0, room));
    if (bytes.length > room) throw new OutputLimit("output limit");
  };
  descriptors.addStandard(job.stdin, limited(job.stdout), limited(job.stderr));
  const finished = (ending: Ending): Finished => ({
    ending,
    memoryBytes: memory.size,
    treeAt: (path) => files.list(files.directoryAt(files.root, partsOf(path))),
  });

  try {
    for (const mount of job.mounts) files.place(files.directoryAt(files.root, partsOf(mount.path)), mount.entries);
    for (const mount of job.mounts) {
      const node = files.directoryAt(files.root, partsOf(mount.path));
      node.readOnly = !mount.writable;
      descriptors.addPreopen(mount.path, node, mount.writable);
    }
  } catch (error) {
    if (error instanceof WasiError) return finished({ kind: "output-limit" });
    throw error;
  }

  const host = { memory, descriptors, files, world: job.world };
  const calls = { ...processCalls(host), ...descriptorCalls(host), ...pathCalls(host) };
  const imports = Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, guarded(call as (...args: never[]) => void)]));

  const problem = moduleProblem(job.module);
  if (problem) return finished({ kind: "malformed", message: problem });
  try {
    const instance = new WebAssembly.Instance(job.module, { [WASI_MODULE]: imports });
    memory.attach(instance.exports["memory"] as WebAssembly.Memory);
    invoke(instance.exports["_start"] as () => void);
    return finished({ kind: "exit", code: 0 });
  } catch (error) {
    const ending = endingOf(error);
    if (!ending) throw error;
    return finished(ending);
  }
}

/** Turns refusals into errno; whatever else escapes ends the guest. */
function guarded(call: (...args: never[]) => void): (...args: never[]) => number {
  return (...args) => {
    try {
      call(...args);
      return ERRNO.SUCCESS;
    } catch (error) {
      if (error instanceof WasiError) return error.errno;
      throw error;
    }
  };
}

function endingOf(error: unknown): Ending | null {
  if (error instanceof GuestExit) return { kind: "exit", code: error.code };
  if (error instanceof OutputLimit) return { kind: "output-limit" };
  if (error instanceof WebAssembly.LinkError) return { kind: "malformed", message: error.message };
  if (error instanceof WebAssembly.RuntimeError) return { kind: "trap", message: error.message };
  if (error instanceof RangeError) return /memory/i.test(error.message) ? { kind: "memory-limit" } : { kind: "trap", message: "call stack exhausted" };
  return null;
}
