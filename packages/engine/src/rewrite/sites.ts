/**
 * Where a function can be taken down, in the order of its code: its sites. A site is a breakpoint (at the head of a loop, and at the
 * entry of a function that calls) or a call of something that may meet one. They are numbered from 1 on, 1 being the breakpoint at the
 * entry whether there is one or not. A call stack that is wound up again comes back to a site through the blocks around it: each sequence
 * of instructions has a door for every site of its own and for every block in it that holds one.
 */
import { Reader, Refusal } from "./binary.ts";
import type { ParsedModule, Span } from "./module.ts";
import { OP } from "./op.ts";
import { skipDead, skipOne } from "./skip.ts";

export interface Door {
  /** The first site behind it. */
  first: number;
  /** Of an `if`: the first number that no site in its first arm has. */
  elseFrom: number | null;
}

/** The instructions of a block, or of one arm of an `if`. */
export interface Sequence {
  doors: Door[];
  /** Whether its first door is a breakpoint at its head. */
  breakpoint: boolean;
  /** Of a block's first sequence: whether a site lies in the block, its other arm included. */
  holds: boolean;
}

interface Open {
  sequence: Sequence;
  /** The block's first sequence: itself, or that of the first arm. */
  opening: Sequence;
  kind: number;
  /** Of all sites, when the block began. */
  sitesBefore: number;
  elseFrom: number | null;
}

const empty = (breakpoint: boolean): Sequence => ({ doors: [], breakpoint, holds: breakpoint });

/** Behind the declarations of locals. */
function skipLocals(reader: Reader): Reader {
  for (let groups = reader.u32(); groups > 0; groups--) {
    reader.skipLeb();
    reader.byte();
  }
  return reader;
}

/** A call stack that is wound up again has no exception that a handler could hold. */
function mustNotHandle(opcode: number, at: number): void {
  if (opcode === OP.try || opcode === OP.tryTable) throw new Refusal("an exception handler", at, "such a job has no breakpoints");
}

/** Of each of the module's own functions: whether it has a loop or a call, and with it a breakpoint. Nothing else has any. */
export function breakpointsIn({ bytes, bodies }: ParsedModule): boolean[] {
  return bodies.map(({ start, end }) => {
    const reader = skipLocals(new Reader(bytes, start, end));
    while (!reader.done) {
      const at = reader.at;
      const opcode = reader.byte();
      if (opcode === OP.loop || (opcode >= OP.call && opcode <= OP.returnCallIndirect)) return true;
      mustNotHandle(opcode, at);
      skipOne(reader, opcode, at);
    }
    return false;
  });
}

class Planner {
  /** In the order in which they begin; what cannot be reached has none. */
  readonly sequences: Sequence[] = [];
  readonly #reader: Reader;
  readonly #mayStop: (index: number) => boolean;
  readonly #open: Open[] = [];
  #sites = 1;
  #calls = false;

  constructor(reader: Reader, mayStop: (index: number) => boolean) {
    this.#reader = reader;
    this.#mayStop = mayStop;
    this.#enter(OP.block);
  }

  plan(): Sequence[] {
    const reader = this.#reader;
    while (this.#open.length > 0) {
      const at = reader.at;
      this.#instruction(reader.byte(), at);
    }
    const root = this.sequences[0]!;
    if (!this.#calls) return this.sequences;
    root.doors.unshift({ first: 1, elseFrom: null });
    root.breakpoint = root.holds = true;
    return this.sequences;
  }

  #instruction(opcode: number, at: number): void {
    const reader = this.#reader;
    switch (opcode) {
      case OP.block:
      case OP.loop:
      case OP.if:
        reader.s33();
        return this.#enter(opcode);
      case OP.else:
        return this.#otherArm();
      case OP.end:
        return this.#leave();
      case OP.call:
        return this.#call(this.#mayStop(reader.u32()));
      case OP.callIndirect:
        skipOne(reader, opcode, at);
        return this.#call(true);
      case OP.br:
      case OP.brTable:
      case OP.return:
      case OP.unreachable:
        skipOne(reader, opcode, at);
        return skipDead(reader);
      default:
        mustNotHandle(opcode, at);
        return skipOne(reader, opcode, at);
    }
  }

  #enter(kind: number): void {
    const sequence = empty(kind === OP.loop);
    const sitesBefore = this.#sites;
    if (kind === OP.loop) sequence.doors.push({ first: ++this.#sites, elseFrom: null });
    this.#open.push({ sequence, opening: sequence, kind, sitesBefore, elseFrom: null });
    this.sequences.push(sequence);
  }

  #otherArm(): void {
    const open = this.#open.at(-1)!;
    open.sequence = empty(false);
    open.elseFrom = this.#sites + 1;
    this.sequences.push(open.sequence);
  }

  #leave(): void {
    const { opening, kind, sitesBefore, elseFrom } = this.#open.pop()!;
    opening.holds = this.#sites > sitesBefore;
    const around = this.#open.at(-1);
    if (!around || !opening.holds) return;
    around.sequence.doors.push({ first: sitesBefore + 1, elseFrom: kind === OP.if ? (elseFrom ?? this.#sites + 1) : null });
  }

  #call(stops: boolean): void {
    this.#calls = true;
    if (stops) this.#open.at(-1)!.sequence.doors.push({ first: ++this.#sites, elseFrom: null });
  }
}

/** `mayStop`: whether the function with this index, counted as in the original, may meet a breakpoint. */
export function planSites(bytes: Uint8Array, { start, end }: Span, mayStop: (index: number) => boolean): Sequence[] {
  return new Planner(skipLocals(new Reader(bytes, start, end)), mayStop).plan();
}
