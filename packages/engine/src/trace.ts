/**
 * Runs a job in its build with breakpoints: the guest is taken down each time it has used so much more fuel, and its state shown; or set
 * up from such a state and run on from there. Same output, fuel and memory as runJob. The build is `prepareModule(bytes, true)`,
 * instrumented by Binaryen's Asyncify, whose exports unwind the guest's stack into a memory of their own and wind it up again.
 */
import { Machine, type Finished, type Job } from "./machine.ts";
import { BadState } from "./machine-state-check.ts";
import { StateTaker, randomOf, readState, restoreInstance, stackOf, standingOf, writtenBefore, type State } from "./machine-state.ts";
import type { Phase } from "./state-manifest.ts";
import { ADDED } from "./rewrite/added.ts";

/** What the instrumented module exports besides the engine's own. */
interface Unwinding {
  asyncify_start_unwind(at: number): void;
  asyncify_stop_unwind(): void;
  asyncify_start_rewind(at: number): void;
  asyncify_stop_rewind(): void;
  asyncify_get_state(): number;
  [STACK_MEMORY]: WebAssembly.Memory;
}

/** Name under which the memory that takes the unwound stack must be exported. */
export const STACK_MEMORY = "xeno.unwound";
/** Pages of that memory: many times what the engine's own limit on the stack allows a guest. */
export const STACK_MEMORY_PAGES = 1024;
const PAGE_BYTES = 65_536;
/** Two words, where the stack stands and where it ends, come before the stack itself. */
const HEADER_AT = 16;
const STACK_AT = 32;
const UNWINDING = 1;
const REWINDING = 2;

interface TraceOptions {
  /** Fuel between two breakpoints. */
  step: bigint;
  /** The state to go on from; null for the job's beginning. */
  from: { manifest: Uint8Array; piece(digest: string): Uint8Array } | null;
  /** Called at breakpoint `index`, the first at which at least `index * step` fuel was used; false ends the run there. */
  onBreakpoint(index: bigint, state: State): boolean;
}

class Recorder {
  #chunks: Uint8Array[] = [];
  add(bytes: Uint8Array): void {
    this.#chunks.push(bytes.slice());
  }
  get bytes(): Uint8Array {
    const all = new Uint8Array(this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    this.#chunks = [all];
    return all;
  }
}

/**
 * Null when `onBreakpoint` ended it. Output before the state that it goes on from is handed out too. Throws BadState, HostFailure and the
 * host's own errors.
 */
export function traceJob(job: Job, { step, from, onBreakpoint }: TraceOptions): Finished | null {
  const written = { stdout: new Recorder(), stderr: new Recorder() };
  const state = from && readState(from.manifest, from.piece);
  const recorded: Job = {
    ...job,
    world: state ? { ...job.world, random: randomOf(state) } : job.world,
    stdout: (bytes) => (written.stdout.add(bytes), job.stdout(bytes)),
    stderr: (bytes) => (written.stderr.add(bytes), job.stderr(bytes)),
  };
  const machine = new Machine(recorded, state ? standingOf(state, job) : undefined);
  if (state) {
    const before = writtenBefore(state);
    for (const stream of ["stdout", "stderr"] as const) if (before[stream].length > 0) recorded[stream](before[stream]);
  }
  const unfit = state ? null : machine.mount();
  if (unfit) return machine.finished(unfit);
  try {
    return drive(
      machine,
      state,
      step,
      (fuel, phase, stack, taker) => taker.take(fuel, phase, stack, { stdout: written.stdout.bytes, stderr: written.stderr.bytes }),
      onBreakpoint,
    );
  } catch (error) {
    if (error instanceof BadState) throw error;
    return machine.ended(error);
  }
}

function drive(
  machine: Machine,
  state: ReturnType<typeof readState> | null,
  step: bigint,
  take: (fuel: bigint, phase: Phase, stack: Uint8Array, taker: StateTaker) => State,
  onBreakpoint: TraceOptions["onBreakpoint"],
): Finished | null {
  const unwinding = (): Unwinding => machine.added as unknown as Unwinding;
  let usedFuel = 0n;
  const refused = machine.instantiate((leftFuel) => {
    const { asyncify_get_state, asyncify_stop_rewind, asyncify_start_unwind } = unwinding();
    if (asyncify_get_state() === REWINDING) asyncify_stop_rewind();
    else {
      usedFuel = machine.job.fuelMax - 1n - leftFuel;
      asyncify_start_unwind(HEADER_AT);
    }
  });
  if (refused) return machine.finished(refused);
  const added = machine.added!;
  const memory = unwinding()[STACK_MEMORY];
  const header = (): Uint32Array => new Uint32Array(memory.buffer, HEADER_AT, 2);
  const clearStack = (): void => header().set([STACK_AT, STACK_MEMORY_PAGES * PAGE_BYTES]);
  const taker = new StateTaker(machine);
  let index = 1n;
  let phase: Phase = added[ADDED.start] ? "start" : "main";
  let rewind = false;
  if (state) {
    restoreInstance(machine, state);
    phase = state.manifest.phase;
    index = BigInt(state.manifest.fuel) / step + 1n;
    const stack = stackOf(state, STACK_MEMORY_PAGES * PAGE_BYTES - STACK_AT);
    clearStack();
    new Uint8Array(memory.buffer).set(stack, STACK_AT);
    header()[0] = STACK_AT + stack.length;
    rewind = true;
  } else clearStack();
  for (;;) {
    // the counter sinks below this at the first check with at least index * step used
    added[ADDED.next]!.value = machine.job.fuelMax - index * step;
    if (rewind) unwinding().asyncify_start_rewind(HEADER_AT);
    if (phase === "start") added[ADDED.start]!();
    else added._start();
    if (unwinding().asyncify_get_state() !== UNWINDING) {
      if (phase === "main") return machine.finished({ kind: "exit", code: 0 });
      [phase, rewind] = ["main", false];
      continue;
    }
    unwinding().asyncify_stop_unwind();
    const taken = take(usedFuel, phase, new Uint8Array(memory.buffer).slice(STACK_AT, header()[0]), taker);
    for (; index * step <= taken.fuel; index++) if (!onBreakpoint(index, taken)) return null;
    rewind = true;
  }
}
