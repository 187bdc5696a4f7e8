/** Where the rewriter stands in a function: what it reads, what it writes, and what it knows of the values and labels there. */
import { Reader, Refusal } from "./binary.ts";
import type { Additions, Emitter } from "./emitter.ts";
import { isDirty, type FloatLocals } from "./float-locals.ts";
import { typeOfFunction, type FunctionType, type ParsedModule, type Span } from "./module.ts";
import { OP } from "./op.ts";
import { I32, I64 } from "./opcodes.ts";
import { Operands } from "./operands.ts";
import { Pauses } from "./pauses.ts";
import { planSites, type Sequence } from "./sites.ts";

export interface Label {
  kind: "block" | "loop" | "if" | "else" | "try" | "catch" | "try_table";
  height: number;
  params: readonly number[];
  results: readonly number[];
  /** Whether anything branches to its end. */
  reached: boolean;
  /** Blocks of the engine's own around it and around what lies outside it. */
  outside: number;
  /** Writes what stands behind its end and belongs to it. */
  ended: (() => void) | null;
}

/**
 * What every function takes besides its own parameters: the fuel that is left, which it also returns last, and the bytes of stack that
 * are left.
 */
export const ADDED_PARAMS = [I64, I32] as const;

export class Walk {
  readonly module: ParsedModule;
  readonly add: Additions;
  readonly out: Emitter;
  readonly stack = new Operands();
  /** 1 for functions written so far that check the fuel at their entry, by their index in the original. */
  readonly checking: Uint8Array;
  /** The function's own. */
  index = 0;
  type: FunctionType = { params: [], results: [] };
  paramCount = 0;
  /** Null where no local is a float. */
  floats: FloatLocals | null = null;
  /** Of a function that can be taken down. */
  pauses: Pauses | null = null;
  reader: Reader;
  labels: Label[] = [];
  /** The bytes of stack that are left below the function's own frame. */
  spLocal = -1;
  /** Locals and operands at the head of each block so far. */
  keptOver = 0;
  /** Of the arguments and results of the largest call: they lie on the machine's stack, twice where a compiler copies them. */
  callBytesMax = 0;
  calls = false;
  /** Exceptions that its handlers keep at once, at most (exceptions.ts). */
  heldMax = 0;
  /** Whether what stands before the next instruction can run to it. */
  live = true;
  /** A loop's end was the last that was written of the ends of blocks. */
  loopEnded = false;
  #plan: readonly Sequence[] = [];
  readonly #pauses: Pauses | null;

  constructor(module: ParsedModule, additions: Additions, out: Emitter) {
    this.module = module;
    this.add = additions;
    this.out = out;
    this.#pauses = additions.breakpoint && new Pauses(out, this.stack, additions.breakpoint);
    this.reader = new Reader(module.bytes);
    this.checking = new Uint8Array(module.imports.length + module.functions.length);
  }

  /** Turns to the function with this index and body. */
  enter(index: number, body: Span): void {
    this.index = index;
    this.type = typeOfFunction(this.module, index);
    this.paramCount = this.type.params.length;
    this.out.locals = [...this.type.params, ...ADDED_PARAMS];
    this.out.fuelLocal = this.paramCount;
    this.pauses = this.#pauses?.isSite(index) ? this.#pauses : null;
    if (this.pauses) this.#plan = planSites(this.module.bytes, body, (called) => this.pauses!.isSite(called));
  }

  /** Begins at the first instruction with nothing written, and with so many locals. */
  begin(reader: Reader, locals: number): void {
    this.reader = reader;
    this.out.clear(locals);
    this.stack.clear();
    this.spLocal = this.out.locals.push(I32) - 1;
    this.callBytesMax = 0;
    this.calls = false;
    this.loopEnded = false;
    this.keptOver = 0;
    this.heldMax = 0;
    this.live = true;
    this.labels = [{ kind: "block", height: 0, params: [], results: this.type.results, reached: false, outside: 0, ended: null }];
    if (!this.pauses) return;
    const own = Array.from({ length: locals }, (_, i) => i).filter(
      (i) => i < this.paramCount || i >= this.paramCount + ADDED_PARAMS.length,
    );
    this.pauses.begin(this.#plan, own, reader.at);
  }

  /** Blocks of the engine's own around what is read now. */
  get around(): number {
    return this.labels.at(-1)?.outside ?? 0;
  }

  /** What a branch to the label `depth` labels out is written as. */
  depth(depth: number): number {
    if (this.pauses) return this.pauses.depth(depth);
    return depth + this.around - this.labels[this.labels.length - 1 - depth]!.outside;
  }

  /** Copies the original bytes of an instruction from `at` up to where the reader stands. */
  copy(at: number): void {
    this.out.body.copy(this.module.bytes, at, this.reader.at);
  }

  /** The same for one unit of fuel. */
  keep(at: number): void {
    this.out.pending++;
    this.copy(at);
  }

  /** Makes the bits of the topmost `count` values known; `above` values lie over them and stay as they are. */
  canonical(count: number, above = 0): void {
    const { dirty, height } = this.stack;
    const end = height - above;
    for (let i = end - count; i < end; i++) if (isDirty(dirty[i]!)) return this.#canonicalBetween(i, end);
  }

  /** What lies over `deepest`, the first that must be fixed, waits in locals meanwhile. */
  #canonicalBetween(deepest: number, end: number): void {
    const { out } = this;
    const { types, dirty } = this.stack;
    const top = this.stack.height;
    const spill = (i: number): number => out.local(`spill${top - i}/${types[i]!}`, types[i]!);
    for (let i = top - 1; i > deepest; i--) out.op(OP.localSet, spill(i));
    for (let i = deepest; i < top; i++) {
      if (i > deepest) out.op(OP.localGet, spill(i));
      if (isDirty(dirty[i]!) && i < end) {
        out.canonicalTop(types[i]!, dirty[i]!);
        dirty[i] = 0;
      }
    }
  }

  /** What a table holds and which segments were dropped cannot be read from outside, so no breakpoint could hold it. */
  mustBeStill(at: number): void {
    this.#refuseWithBreakpoints("an instruction that changes a table or drops a segment", at);
  }

  /** A function that gave up its frame would not be on the stack that is wound up again. */
  mustReturn(at: number): void {
    this.#refuseWithBreakpoints("a tail call", at);
  }

  #refuseWithBreakpoints(what: string, at: number): void {
    if (this.add.breakpoint) throw new Refusal(what, at, "such a job has no breakpoints");
  }
}
