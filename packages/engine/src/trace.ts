/**
 * Runs a job in its build with breakpoints: the guest is taken down each time it has used so much more fuel, and its state shown; or set
 * up from such a state and run on from there. Same output, fuel and memory as runJob. The build is `prepareModule(bytes, true)`, which
 * takes the call stack down into a memory of its own and winds it up again (rewrite/pauses.ts).
 */
import { Machine, type AddedForBreakpoints, type Finished, type Job } from "./machine.ts";
import { BadState, must } from "./machine-state-check.ts";
import { StateTaker, randomOf, readState, restoreInstance, stackOf, standingOf, writtenBefore, type State } from "./machine-state.ts";
import type { Phase } from "./state-manifest.ts";
import { ADDED, STATE, WINDING_UP_FUEL } from "./rewrite/added.ts";

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
  const stack = new Stack(machine);
  try {
    return drive({
      machine,
      stack,
      state,
      step,
      take: (fuel, phase, frames, taker) => taker.take(fuel, phase, frames, { stdout: written.stdout.bytes, stderr: written.stderr.bytes }),
      onBreakpoint,
    });
  } catch (error) {
    if (error instanceof BadState) throw error;
    // the frames that were handed in do not lead to a breakpoint
    must(machine.added === null || !stack.windingUp);
    return machine.ended(error);
  }
}

/** The instance of a build with breakpoints, whose call stack is taken down at one and wound up again. */
class Stack {
  readonly #machine: Machine;
  /** At the last breakpoint: used, and what the engine's global says is left. */
  usedFuel = 0n;
  #notedLeft = 0n;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  get #added(): AddedForBreakpoints {
    return this.#machine.added as AddedForBreakpoints;
  }
  get #frames(): Uint8Array {
    return new Uint8Array(this.#added[ADDED.unwound].buffer);
  }
  get windingUp(): boolean {
    return this.#added[ADDED.state].value === STATE.windingUp;
  }
  get takenDown(): boolean {
    return this.#added[ADDED.state].value === STATE.takingDown;
  }

  /** What the guest calls when it has used so much. Nothing of a job's limit is in what it keeps: it gets what is left anew. */
  readonly breakpoint = (leftFuel: bigint): bigint => {
    const added = this.#added;
    if (this.windingUp) {
      must(added[ADDED.top].value === 0);
      added[ADDED.state].value = STATE.running;
      added[ADDED.fuel].value = this.#notedLeft;
      return this.#machine.job.fuelMax - 1n - this.usedFuel;
    }
    if (leftFuel < 0n) return leftFuel; // it has reached its limit, and ends at the next check
    this.usedFuel = this.#machine.job.fuelMax - 1n - leftFuel;
    this.#notedLeft = added[ADDED.fuel].value;
    added[ADDED.state].value = STATE.takingDown;
    return leftFuel;
  };

  /** The next breakpoint is the first check at which so much was used. */
  breakAt(usedFuel: bigint): void {
    const left = this.#machine.job.fuelMax - usedFuel;
    this.#added[ADDED.next].value = left < 0n ? 0n : left;
  }

  /** The frames, once the guest has come out of its entry. */
  taken(): Uint8Array {
    this.#added[ADDED.fuel].value = this.#notedLeft;
    return this.#frames.slice(0, this.#added[ADDED.top].value);
  }

  /** Goes on where it was taken down. */
  windUp(): void {
    this.#added[ADDED.state].value = STATE.windingUp;
    this.#added[ADDED.fuel].value = WINDING_UP_FUEL;
  }

  /** Puts the frames of another run in place. Throws BadState. */
  restore(state: ReturnType<typeof readState>): void {
    this.usedFuel = BigInt(state.manifest.fuel);
    this.#notedLeft = this.#added[ADDED.fuel].value;
    const frames = stackOf(state, this.#frames.length);
    this.#frames.set(frames);
    this.#added[ADDED.top].value = frames.length;
  }
}

interface Drive {
  machine: Machine;
  stack: Stack;
  state: ReturnType<typeof readState> | null;
  step: bigint;
  take(fuel: bigint, phase: Phase, stack: Uint8Array, taker: StateTaker): State;
  onBreakpoint: TraceOptions["onBreakpoint"];
}

function drive({ machine, stack, state, step, take, onBreakpoint }: Drive): Finished | null {
  const refused = machine.instantiate(stack.breakpoint);
  if (refused) return machine.finished(refused);
  const added = machine.added!;
  const taker = new StateTaker(machine);
  let index = 1n;
  let phase: Phase = added[ADDED.start] ? "start" : "main";
  if (state) {
    restoreInstance(machine, state);
    stack.restore(state);
    stack.windUp();
    phase = state.manifest.phase;
    index = BigInt(state.manifest.fuel) / step + 1n;
  }
  for (;;) {
    stack.breakAt(index * step);
    if (phase === "start") added[ADDED.start]!();
    else added._start();
    must(!stack.windingUp);
    if (stack.takenDown) {
      const taken = take(stack.usedFuel, phase, stack.taken(), taker);
      for (; index * step <= taken.fuel; index++) if (!onBreakpoint(index, taken)) return null;
      stack.windUp();
    } else if (phase === "main") return machine.finished({ kind: "exit", code: 0 });
    else phase = "main";
  }
}
