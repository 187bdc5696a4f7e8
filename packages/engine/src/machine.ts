/**
 * One guest set up and ready to be called: files, descriptors, clock, the module's instance with the engine's state in its globals.
 * Everything a guest does ends in an Ending; only the host's own failures are thrown.
 */
import { backtraceOf, type OwnFunctions } from "./backtrace.ts";
import { Clock } from "./clock.ts";
import { memoryHash, type Sha256 } from "./memory-hash.ts";
import { memoryProblem } from "./ordered-memory.ts";
import { preparationFuel } from "./preparation.ts";
import { ADDED, ADDED_MODULE, NOTES } from "./rewrite/added.ts";
import { ERRNO, WasiError } from "./wasi/abi.ts";
import { wasiCalls } from "./wasi/calls.ts";
import { Descriptors, type Descriptor } from "./wasi/descriptors.ts";
import { FileSystem } from "./wasi/file-system.ts";
import { GuestMemory } from "./wasi/guest-memory.ts";
import type { World } from "./wasi/host.ts";
import { LAYOUTS } from "./wasi/layouts.ts";
import { GuestExit } from "./wasi/process-calls.ts";
import { NOTICES } from "./wasi/signatures.ts";
import { directoryAt, listed, type TreeEntry } from "./wasi/tree.ts";

interface Mount {
  /** Absolute guest path of plain names: `/in`, `/work/data`. */
  path: string;
  writable: boolean;
  /** Read once. */
  entries: Iterable<TreeEntry>;
}

/** A folder that the guest finds open: `/` is where paths that begin with no slash lead. */
interface Preopen {
  name: string;
  /** Of the mount that it is. */
  path: string;
}

/** Where standard output and error go, limited. */
export type Outputs = Record<"stdout" | "stderr", (bytes: Uint8Array) => void>;

export interface Job {
  /** A module that `prepareModule` made, compiled. */
  module: WebAssembly.Module;
  /** Whether it comes with the engine, and was made ready once for everybody: a job of it pays nothing for that (preparation.ts). */
  comesWithEngine?: boolean;
  world: World;
  mounts: readonly Mount[];
  /** In order of their descriptors; the mounts under their own paths where nothing is said. */
  preopens?: readonly Preopen[];
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
  /** Nobody compares what it comes to: its memory is not hashed. */
  unjudged?: boolean;
  /** Asked before each call of the guest's: true ends it there, with nothing half done. Only the host knows when. */
  isStopped?(): boolean;
  stdout(bytes: Uint8Array): void;
  stderr(bytes: Uint8Array): void;
}

export type Ending =
  | { kind: "exit"; code: number }
  /** The guest broke a rule of WebAssembly: a result like any other. */
  | { kind: "trap"; message: string }
  | { kind: "fuel-limit" }
  | { kind: "output-limit" }
  /**
   * It ended badly after its memory was not allowed to grow; with a message, it asks for more than it may have from the start, and
   * nothing ran.
   */
  | { kind: "memory-limit"; message?: string }
  | { kind: "malformed"; message: string }
  /** Its inputs cannot be placed in the files that it was ordered with; nothing ran. */
  | { kind: "refused"; message: string }
  /**
   * The host stopped it: where, is chance. Output and fuel are those of the last call, return or finished loop, and a run with that fuel
   * for a limit comes to the same output.
   */
  | { kind: "stopped" };

export interface Finished {
  ending: Ending;
  /**
   * With what making the module ready costs (preparation.ts). Exact at every call, return and finished loop; a trap or a stop does not
   * count what ran since. 0 when it never started, and when it
   * was interrupted inside a call of its own: what that left half done is no other run's.
   */
  fuel: bigint;
  /** It was interrupted inside a call of its own. */
  isHalf: boolean;
  /** Of the linear memory at the end. */
  memoryBytes: number;
  /** Hash of the linear memory at the end (memory-hash.ts); null when it was stopped by the host, never started, or nobody compares it. */
  memoryHash: Uint8Array | null;
  /** The tree at a mount's path as the guest left it, parents first; made as it is read. */
  treeAt(path: string): Iterable<TreeEntry>;
}

/** Exit code of a trapped guest, as shells show SIGABRT. */
export const TRAP_EXIT_CODE = 134;
/** Calls count on the machine's stack by the bytes of their frames (rewrite/prologue.ts); the host must give more than this. */
const STACK_BYTES = 4 * 1024 * 1024;

const CALL_FUEL = 200n;
const CALL_BYTES_PER_FUEL = 8;

const UNCAUGHT = "an exception that nothing caught";

class OutputLimit extends Error {}
class Stopped extends Error {}
/** Not a result: the host could not do what the job's limits allow. */
export class HostFailure extends Error {}

const partsOf = (path: string): string[] => path.split("/").filter(Boolean);

/** The globals that the rewriter added. */
interface Added {
  [ADDED.fuel]: { value: bigint };
  [ADDED.stack]: { value: number };
  [ADDED.pages]: { value: number };
  [ADDED.refused]: { value: number };
  [ADDED.start]?: () => void;
  _start: () => void;
  memory: WebAssembly.Memory;
}

/** What a build with breakpoints has besides. */
export interface AddedForBreakpoints extends Added {
  /** Below so much fuel the next one is due. */
  [ADDED.next]: { value: bigint };
  /** STATE: what is being done to the call stack. */
  [ADDED.state]: { value: number };
  /** Bytes of `unwound` that frames take. */
  [ADDED.top]: { value: number };
  [ADDED.unwound]: WebAssembly.Memory;
}

/** What a guest that goes on from a breakpoint has outside its instance. */
export interface Standing {
  files: FileSystem;
  descriptors: readonly (readonly [number, Descriptor])[];
  sleptNs: bigint;
  streamedBytes: number;
}

export class Machine {
  readonly job: Job;
  readonly memory = new GuestMemory();
  readonly descriptors: Descriptors;
  readonly clock: Clock;
  readonly files: FileSystem;
  added: Added | null = null;
  /** What standard output and error have taken together. */
  streamedBytes: number;
  #calling = false;

  /** `restore` makes what a breakpoint holds; it gets the clock and the ways out that a fresh guest would have. */
  constructor(job: Job, restore?: (nowNs: () => bigint, outputs: Outputs) => Standing) {
    this.job = job;
    const nowNs = (): bigint => this.clock.realtimeNs();
    const outputs: Outputs = { stdout: this.#limited(job.stdout), stderr: this.#limited(job.stderr) };
    const standing = restore?.(nowNs, outputs);
    this.clock = new Clock(job.world.clockBaseNs, () => this.usedFuel, standing?.sleptNs);
    this.files = standing?.files ?? new FileSystem(job.diskBytesMax, nowNs);
    this.descriptors = new Descriptors(this.files);
    this.streamedBytes = standing?.streamedBytes ?? 0;
    if (standing) for (const [fd, descriptor] of standing.descriptors) this.descriptors.place(fd, descriptor);
    else this.descriptors.addStandard(job.stdin, outputs.stdout, outputs.stderr);
  }

  get usedFuel(): bigint {
    return this.added === null ? 0n : this.job.fuelMax - 1n - this.added[ADDED.fuel].value;
  }

  #limited(write: (bytes: Uint8Array) => void): (bytes: Uint8Array) => void {
    return (bytes) => {
      const room = this.job.streamBytesMax - this.streamedBytes;
      this.streamedBytes += Math.min(bytes.length, room);
      if (room > 0) write(bytes.subarray(0, room));
      if (bytes.length > room) throw new OutputLimit("output limit");
    };
  }

  #memoryLimit(): Ending | null {
    const message = memoryProblem(notesOf(this.job.module).initial, this.job.memoryPagesMax);
    return message === null ? null : { kind: "memory-limit", message };
  }

  /** Puts the job's inputs into the files; an ending where they, or the module's memory, do not fit. */
  mount(): Ending | null {
    const { files, descriptors, job } = this;
    const tooMuch = this.#memoryLimit();
    if (tooMuch) return tooMuch;
    const nested = job.mounts.find(({ path }, i) => job.mounts.some((other, j) => i !== j && `${path}/`.startsWith(`${other.path}/`)));
    if (nested) return { kind: "refused", message: `the mount ${nested.path} lies in another, or stands there twice` };
    let at = "";
    try {
      const places = job.mounts.map((mount) => ({ mount, node: files.mountAt(partsOf((at = mount.path))) }));
      for (const { mount, node } of places) {
        at = mount.path;
        files.place(node, mount.entries);
      }
      for (const { mount, node } of places) node.readOnly = !mount.writable;
      for (const { name, path } of job.preopens ?? job.mounts.map((mount) => ({ name: mount.path, path: mount.path }))) {
        const place = places.find(({ mount }) => mount.path === path);
        if (!place) return { kind: "refused", message: `nothing is mounted at ${path}` };
        descriptors.addPreopen(name, place.node, place.mount.writable);
      }
      return null;
    } catch (error) {
      if (error instanceof WasiError)
        return { kind: "refused", message: `what lies in ${at} does not fit the job's files: ${error.message}` };
      throw error;
    }
  }

  /**
   * Makes the instance; an ending where the module does not fit the job. `breakpoint` takes what is left of the fuel and says what to go on
   * with. Throws LinkError and the host's own errors.
   */
  instantiate(breakpoint?: (leftFuel: bigint) => bigint): Ending | null {
    const { memory, descriptors, files, clock, job } = this;
    const offered = [...LAYOUTS].map(([from, layout]): [string, Record<string, (...args: never[]) => number>] => {
      const calls = Object.entries(wasiCalls({ memory, descriptors, files, world: job.world, clock, layout }));
      return [from, Object.fromEntries(calls.map(([name, call]) => [name, this.#guarded(call as (...args: never[]) => void)]))];
    });
    for (const text of NOTICES.keys()) {
      const [from = "", name = ""] = text.split(".");
      offered.push([from, { [name]: this.#guarded(() => {}) }]);
    }
    const fail = (): never => {
      throw new HostFailure("this host could not give the guest the memory it may have");
    };
    const own = breakpoint ? { [ADDED.fail]: fail, [ADDED.breakpoint]: breakpoint } : { [ADDED.fail]: fail };
    const { madeFrom } = notesOf(job.module);
    // before any of it is there
    const tooMuch = this.#memoryLimit();
    if (tooMuch) return tooMuch;
    const instance = new WebAssembly.Instance(job.module, { ...Object.fromEntries(offered), [ADDED_MODULE]: own });
    const added = (this.added = instance.exports as unknown as Added);
    added[ADDED.fuel].value = job.fuelMax - 1n - (job.comesWithEngine === true ? 0n : preparationFuel(madeFrom));
    added[ADDED.stack].value = STACK_BYTES;
    added[ADDED.pages].value = job.memoryPagesMax;
    memory.attach(added.memory);
    return added[ADDED.fuel].value < 0n ? { kind: "fuel-limit" } : null;
  }

  /** Turns refusals into errno; whatever else escapes ends the guest. */
  #guarded(call: (...args: never[]) => void): (...args: never[]) => number {
    return (...args) => {
      if (this.job.isStopped?.() === true) throw new Stopped("stopped");
      this.#calling = true;
      try {
        call(...args);
        return ERRNO.SUCCESS;
      } catch (error) {
        if (error instanceof WasiError) return error.errno;
        throw error;
      } finally {
        this.#charge();
      }
    };
  }

  #charge(): void {
    this.added![ADDED.fuel].value -= CALL_FUEL + BigInt(Math.ceil(this.memory.touched / CALL_BYTES_PER_FUEL));
    this.memory.touched = 0;
    this.#calling = false;
  }

  finished(ending: Ending): Finished {
    const { files, memory, job } = this;
    const isHalf = ending.kind === "stopped" && this.#calling;
    const isJudged = memory.all !== null && ending.kind !== "stopped" && !job.unjudged;
    return {
      ending,
      fuel: isHalf ? 0n : this.usedFuel,
      isHalf,
      memoryBytes: memory.all?.length ?? 0,
      memoryHash: isJudged ? memoryHash(memory.all!, job.sha256) : null,
      treeAt(path) {
        const directory = directoryAt(files.root, partsOf(path));
        return directory ? listed(directory) : [];
      },
    };
  }

  /** What an error that came out of the guest means; throws those that are the host's own. */
  ended(error: unknown): Finished {
    const ending = endingOf(error, this.added, notesOf(this.job.module).own);
    if (!ending) throw error;
    return this.finished(ending);
  }
}

/** What the rewriter wrote down of the module: the pages that its memory begins with and may grow to, its own functions, its length. */
export function notesOf(module: WebAssembly.Module): { initial: number; maximum: number; own: OwnFunctions; madeFrom: number } {
  const [notes] = WebAssembly.Module.customSections(module, NOTES);
  if (!notes) throw new Error("the module was not made by this engine");
  const view = new DataView(notes);
  const [initial = 0, maximum = 0, from = 0, to = 0, added = 0, madeFrom = 0] = [0, 4, 8, 12, 16, 20].map((at) => view.getUint32(at, true));
  return { initial, maximum, own: { from, to, added }, madeFrom };
}

const exhausted = (error: Error, own: OwnFunctions): Ending => ({
  kind: "trap",
  message: `call stack exhausted${backtraceOf(error, own)}`,
});

function endingOf(error: unknown, added: Added | null, own: OwnFunctions): Ending | null {
  const wantedMemory = added !== null && added[ADDED.refused].value !== 0;
  if (error instanceof GuestExit) return wantedMemory && error.code !== 0 ? { kind: "memory-limit" } : { kind: "exit", code: error.code };
  if (error instanceof Stopped) return { kind: "stopped" };
  if (error instanceof OutputLimit) return { kind: "output-limit" };
  // the latter of a function that is validated as it is called: of a module that nobody validated when it was made
  if (error instanceof WebAssembly.LinkError || error instanceof WebAssembly.CompileError)
    return { kind: "malformed", message: error.message };
  // the engine's own limit comes first for every frame that it knows of; where a machine's frames are larger, this is the guest's
  // recursion all the same
  if (error instanceof RangeError && error.message.includes("call stack")) return exhausted(error, own);
  if (error instanceof WebAssembly.Exception) return wantedMemory ? { kind: "memory-limit" } : { kind: "trap", message: UNCAUGHT };
  if (!(error instanceof WebAssembly.RuntimeError)) return null;
  if (added !== null && added[ADDED.stack].value < 0) return exhausted(error, own);
  if (added !== null && added[ADDED.fuel].value < 0n) return { kind: "fuel-limit" };
  return wantedMemory ? { kind: "memory-limit" } : { kind: "trap", message: error.message + backtraceOf(error, own) };
}
