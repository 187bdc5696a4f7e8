/**
 * Runs one WASI command module: bytes in, bytes out. The same job gives the same output, fuel and memory hash on every run and machine. Everything
 * a guest does ends in an Ending; only the host's own failures are thrown. How the guest is called is handed in (`invoke`), so that a host can
 * interrupt it.
 */
import { Clock } from "./clock.ts";
import { memoryHash, PAGE_BYTES, type Sha256 } from "./memory-hash.ts";
import { Refusal } from "./rewrite/binary.ts";
import { ADDED, ADDED_MODULE, rewriteModule } from "./rewrite/rewrite.ts";
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
  /** A module that `prepareModule` made, compiled. */
  module: WebAssembly.Module;
  world: World;
  mounts: readonly Mount[];
  stdin: Uint8Array;
  /** The guest is stopped at the first check at which it has used this much, at least 1. */
  fuelMax: bigint;
  /** 64 KiB each. */
  memoryPagesMax: number;
  /** Bytes the guest's files may take, inputs included. */
  diskBytesMax: number;
  /** Bytes that standard output and error may take together. */
  streamBytesMax: number;
  sha256: Sha256;
  stdout(bytes: Uint8Array): void;
  stderr(bytes: Uint8Array): void;
}

export type Ending =
  | { kind: "exit"; code: number }
  /** The guest broke a rule of WebAssembly: a result like any other. */
  | { kind: "trap"; message: string }
  | { kind: "fuel-limit" }
  | { kind: "output-limit" }
  /** It ended badly after its memory was not allowed to grow. */
  | { kind: "memory-limit" }
  | { kind: "malformed"; message: string }
  /** The host interrupted it: where, is chance. Output and fuel are those of the last call, return or finished loop. */
  | { kind: "stopped" };

export interface Finished {
  ending: Ending;
  /** Exact at every call, return and finished loop; a trap or a stop does not count what ran since. 0 when it never started. */
  fuel: bigint;
  /** Hash of the linear memory at the end (memory-hash.ts); null when it was stopped by the host or never started. */
  memoryHash: Uint8Array | null;
  /** The tree at a mount's path as the guest left it. */
  treeAt(path: string): TreeEntry[];
}

export const WASI_MODULE = "wasi_snapshot_preview1";
/** Exit code of a trapped guest, as shells show SIGABRT. */
export const TRAP_EXIT_CODE = 134;
/** Calls count on the machine's stack by the bytes of their frames (rewrite/function.ts); the host must give more than this. */
export const STACK_BYTES = 4 * 1024 * 1024;

const CALL_FUEL = 200n;
const CALL_BYTES_PER_FUEL = 8;

class OutputLimit extends Error {}
/** Not a result: the host could not do what the job's limits allow. */
export class HostFailure extends Error {}

const partsOf = (path: string): string[] => path.split("/").filter(Boolean);

/** Makes a customer's module into one that `runJob` runs; or says what is wrong with it. Pure: the same bytes give the same bytes. */
export function prepareModule(bytes: Uint8Array): { ok: true; bytes: Uint8Array } | { ok: false; message: string } {
  if (!WebAssembly.validate(bytes)) return { ok: false, message: `it is not valid WebAssembly${whyInvalid(bytes)}` };
  try {
    return { ok: true, bytes: rewriteModule(bytes) };
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, message: error.message };
    throw error;
  }
}

function whyInvalid(bytes: Uint8Array): string {
  try {
    new WebAssembly.Module(bytes);
    return "";
  } catch (error) {
    return `: ${(error as Error).message.replace(/^WebAssembly\.Module\(\): /, "")}`;
  }
}

/** The globals that the rewriter added. */
interface Added {
  [ADDED.fuel]: { value: bigint };
  [ADDED.stack]: { value: number };
  [ADDED.pages]: { value: number };
  [ADDED.refused]: { value: number };
  [ADDED.start]?: () => void;
}

/**
 * Runs the job to its end. `invoke` calls `start` and says whether it came to its end (false: the host interrupted it). Throws HostFailure, or
 * the host's own errors.
 */
export function runJob(job: Job, invoke: (start: () => void) => boolean = (start) => (start(), true)): Finished {
  let added: Added | null = null;
  const usedFuel = (): bigint => (added === null ? 0n : job.fuelMax - 1n - added[ADDED.fuel].value);
  const clock = new Clock(job.world.clockBaseNs, usedFuel);
  const files = new FileSystem(job.diskBytesMax, () => clock.realtimeNs());
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
    fuel: usedFuel(),
    memoryHash: memory.all === null || ending.kind === "stopped" ? null : memoryHash(memory.all, job.sha256),
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

  const host = { memory, descriptors, files, world: job.world, clock };
  const calls = { ...processCalls(host), ...descriptorCalls(host), ...pathCalls(host) };
  const charge = (): void => {
    added![ADDED.fuel].value -= CALL_FUEL + BigInt(Math.ceil(memory.touched / CALL_BYTES_PER_FUEL));
    memory.touched = 0;
  };
  const imports = Object.fromEntries(Object.entries(calls).map(([name, call]) => [name, guarded(call as (...args: never[]) => void, charge)]));
  const fail = (): never => {
    throw new HostFailure("this host could not give the guest the memory it may have");
  };

  try {
    const instance = new WebAssembly.Instance(job.module, { [WASI_MODULE]: imports, [ADDED_MODULE]: { [ADDED.fail]: fail } });
    added = instance.exports as unknown as Added;
    added[ADDED.fuel].value = job.fuelMax - 1n;
    added[ADDED.stack].value = STACK_BYTES;
    added[ADDED.pages].value = job.memoryPagesMax;
    const own = instance.exports["memory"] as WebAssembly.Memory;
    if (own.buffer.byteLength / PAGE_BYTES > job.memoryPagesMax) return finished({ kind: "memory-limit" }); // nobody hashes what may not be there
    memory.attach(own);
    const { [ADDED.start]: before } = added;
    const main = instance.exports["_start"] as () => void;
    const complete = invoke(() => {
      before?.();
      main();
    });
    return finished(complete ? { kind: "exit", code: 0 } : { kind: "stopped" });
  } catch (error) {
    const ending = endingOf(error, added);
    if (!ending) throw error;
    return finished(ending);
  }
}

/** Turns refusals into errno; whatever else escapes ends the guest. */
function guarded(call: (...args: never[]) => void, charge: () => void): (...args: never[]) => number {
  return (...args) => {
    try {
      call(...args);
      return ERRNO.SUCCESS;
    } catch (error) {
      if (error instanceof WasiError) return error.errno;
      throw error;
    } finally {
      charge();
    }
  };
}

function endingOf(error: unknown, added: Added | null): Ending | null {
  const wantedMemory = added !== null && added[ADDED.refused].value !== 0;
  if (error instanceof GuestExit) return wantedMemory && error.code !== 0 ? { kind: "memory-limit" } : { kind: "exit", code: error.code };
  if (error instanceof OutputLimit) return { kind: "output-limit" };
  if (error instanceof WebAssembly.LinkError) return { kind: "malformed", message: error.message };
  if (!(error instanceof WebAssembly.RuntimeError)) return null;
  if (added !== null && added[ADDED.stack].value < 0) return { kind: "trap", message: "call stack exhausted" };
  if (added !== null && added[ADDED.fuel].value < 0n) return { kind: "fuel-limit" };
  return wantedMemory ? { kind: "memory-limit" } : { kind: "trap", message: error.message };
}
