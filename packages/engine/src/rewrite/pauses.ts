/**
 * Instruments one function so that it can be taken down at each of its sites and wound up again. What it emits:
 *
 *   block                          a block for each door of the sequence, the last door's outermost
 *     resume ≠ 0 ⇒ to the door behind which the site `resume` lies
 *     …
 *   end                            a door: every operand is in a local
 *   resume = its number; call …    the site; a callee that is wound up takes nothing from its arguments
 *   unwinding ⇒ out                to where the frame is saved (frames.ts)
 *   resume = 0
 *
 * Nothing is tested between sites. While a stack is wound up again the counter that goes from call to call is below zero, so that the
 * checks of fuel notice it, and no other way through a function does more than it did. At a breakpoint the counter comes back from the
 * host: no frame holds it.
 */
import type { Breakpoints, Emitter } from "./emitter.ts";
import { isDirty } from "./float-locals.ts";
import { assertWithin } from "./module-limits.ts";
import { NO_BLOCK_TYPE, OP } from "./op.ts";
import { I32 } from "./opcodes.ts";
import type { Operands } from "./operands.ts";
import type { Door, Sequence } from "./sites.ts";

interface Open {
  doors: readonly Door[];
  /** Of the doors that were gone through. */
  passed: number;
  /** Whether the block is itself behind a door. */
  held: boolean;
  /** Operands below this belong to sequences further out. */
  height: number;
  /** Blocks of doors around the block, and those in it that are still open. */
  outside: number;
  inside: number;
}

export class Pauses {
  readonly #out: Emitter;
  readonly #stack: Operands;
  readonly #breakpoints: Breakpoints;
  #plan: readonly Sequence[] = [];
  /** Of the sequences that have begun. */
  #begun = 0;
  #site = 1;
  #open: Open[] = [];
  #keptOver = 0;
  /** Byte offset of the function's end, for refusals. */
  #at = 0;
  #declared: readonly number[] = [];
  #kept = new Set<number>();
  /** The local with the site to come back to, 0 when the function just runs. */
  resume = -1;

  constructor(out: Emitter, stack: Operands, breakpoints: Breakpoints) {
    this.#out = out;
    this.#stack = stack;
    this.#breakpoints = breakpoints;
  }

  /** Begins a function with this plan, whose own locals have these indexes. */
  begin(plan: readonly Sequence[], declared: readonly number[], at: number): void {
    this.#plan = plan;
    this.#declared = declared;
    this.#at = at;
    this.#begun = this.#keptOver = 0;
    this.#site = 1;
    this.#open = [];
    this.#kept = new Set();
    this.resume = this.#out.spare("resume", I32);
    this.openBlock(0);
  }

  /** The locals that a frame is made of, the site apart. */
  get frame(): number[] {
    return [...this.#declared, ...this.#kept];
  }

  /** Whether a call of this function is a site. */
  isSite(index: number): boolean {
    return this.#breakpoints.mayStop(index);
  }

  /** What a branch to the label `depth` labels out is written as. */
  depth(depth: number): number {
    return depth + this.#blocks - this.#open[this.#open.length - 1 - depth]!.outside;
  }

  /** Those of doors that are open. */
  get #blocks(): number {
    const { outside, inside } = this.#open.at(-1)!;
    return outside + inside;
  }

  /**
   * In front of a block whose parameters are the topmost operands; `condition`: it is an `if`, and that lies above them. The parameters are
   * kept: a stack that is wound up again goes into the block with those that it had.
   */
  beforeBlock(params: number, condition: boolean): void {
    if (!this.#plan[this.#begun]!.holds) return;
    const scratch = condition ? this.#out.spare("condition", I32) : -1;
    if (condition) this.#out.op(OP.localSet, scratch);
    this.#putAside(0, 0);
    this.#passDoor();
    const { height } = this.#stack;
    this.#getKept(height - params, height);
    if (condition) this.#out.op(OP.localGet, scratch);
  }

  /** Behind the instruction that begins a block; `height`: of the operands below its parameters. */
  openBlock(height: number): void {
    const sequence = this.#plan[this.#begun++]!;
    const outside = this.#open.length === 0 ? 0 : this.#blocks;
    this.#open.push({ doors: sequence.doors, passed: 0, held: sequence.holds, height, outside, inside: 0 });
    this.#beginSequence(sequence);
  }

  /** Behind an `else`, with the block's parameters as operands. */
  otherArm(): void {
    const sequence = this.#plan[this.#begun++]!;
    Object.assign(this.#open.at(-1)!, { doors: sequence.doors, passed: 0 });
    this.#beginSequence(sequence);
  }

  /** Behind an `end`, with the block's results as the topmost operands. */
  closeBlock(results: number): void {
    const { held } = this.#open.pop()!;
    if (held && this.#open.length > 0) this.#bringBack(results);
  }

  /** In front of a call whose arguments are the topmost operands but `above`, which are in locals already. */
  beforeCall(params: number, above: readonly number[]): void {
    for (const local of above) this.#kept.add(local);
    this.#putAside(params, above.length);
    this.#passDoor();
    this.#setResume(++this.#site);
    this.#takeBack(params, above.length);
  }

  /** Behind a call, with its results as the topmost operands. */
  afterCall(results: number): void {
    this.#afterSite();
    this.#bringBack(results);
  }

  #setResume(site: number): void {
    this.#out.i32(site);
    this.#out.op(OP.localSet, this.resume);
  }

  #afterSite(): void {
    const out = this.#out;
    out.op(OP.globalGet, this.#breakpoints.stateGlobal);
    // the labels, the blocks of doors, and the function's own block are inside the one that ends where frames are saved
    out.op(OP.brIf, this.#open.length + this.#blocks);
    this.#setResume(0);
  }

  #passDoor(): void {
    const open = this.#open.at(-1)!;
    open.passed++;
    open.inside--;
    this.#out.op(OP.end);
  }

  /** Opens the doors' blocks, behind which the sequence's parameters are operands again. */
  #beginSequence(sequence: Sequence): void {
    const { doors, breakpoint } = sequence;
    if (doors.length === 0) return;
    const out = this.#out;
    const open = this.#open.at(-1)!;
    this.#putAside(0, 0);
    open.inside = doors.length;
    const blocks = doors.length + (breakpoint ? 1 : 0);
    for (let left = blocks; left > 0; left--) out.op(OP.block, NO_BLOCK_TYPE);
    assertWithin("blocks inside each other", this.#open.length + this.#blocks, this.#at);
    this.#keptOver += blocks * out.locals.length;
    assertWithin("values to keep over the blocks of one function", this.#keptOver, this.#at);
    if (breakpoint) this.#breakpoint(doors, this.#open.length > 1);
    else this.#comeBack(doors, 0);
    this.#getKept(open.height, this.#stack.height);
  }

  /** The first door's block, and around it one that leaves the breakpoint out. */
  #breakpoint(doors: readonly Door[], loop: boolean): void {
    const out = this.#out;
    const { call, nextGlobal } = this.#breakpoints;
    out.op(OP.localGet, out.fuelLocal);
    out.op(OP.globalGet, nextGlobal);
    out.op(OP.i64GeS);
    out.op(OP.brIf, 1);
    this.#comeBack(doors, 1);
    if (loop) out.checkLoop();
    const site = doors[0]!.first;
    this.#site = site;
    this.#passDoor();
    this.#open.at(-1)!.inside++;
    this.#setResume(site);
    out.op(OP.localGet, out.fuelLocal);
    out.op(OP.call, call);
    out.op(OP.localSet, out.fuelLocal);
    this.#afterSite();
    this.#open.at(-1)!.inside--;
    out.op(OP.end);
  }

  /** Goes to the door behind which the site to come back to lies; `between`: blocks between the first door's and the others. */
  #comeBack(doors: readonly Door[], between: number): void {
    const out = this.#out;
    out.op(OP.localGet, this.resume);
    out.op(OP.if, NO_BLOCK_TYPE);
    for (let i = doors.length - 1; i > 0; i--) {
      const { first, elseFrom } = doors[i]!;
      out.op(OP.localGet, this.resume);
      out.i32(first);
      out.op(OP.i32GeU);
      if (elseFrom === null) {
        out.op(OP.brIf, i + 1 + between);
        continue;
      }
      out.op(OP.if, NO_BLOCK_TYPE);
      this.#chooseArm(elseFrom);
      out.op(OP.br, i + 2 + between);
      out.op(OP.end);
    }
    if (doors[0]!.elseFrom !== null) this.#chooseArm(doors[0]!.elseFrom);
    out.op(OP.br, 1);
    out.op(OP.end);
  }

  #chooseArm(elseFrom: number): void {
    const out = this.#out;
    out.op(OP.localGet, this.resume);
    out.i32(elseFrom);
    out.op(OP.i32LtU);
    out.op(OP.localSet, out.spare("condition", I32));
  }

  /** The local for the operand at this height, with which it comes back where the stack is wound up again. */
  #keep(height: number): number {
    const type = this.#stack.types[height]!;
    const local = this.#out.spare(`kept${height}/${type}`, type);
    this.#kept.add(local);
    return local;
  }

  #getKept(from: number, to: number): void {
    for (let i = from; i < to; i++) this.#out.op(OP.localGet, this.#keep(i));
  }

  /** A local for the argument or result with this number, over the next instructions alone. */
  #scratch(number: number, type: number): number {
    return this.#out.spare(`aside${number}/${type}`, type);
  }

  /** Puts the sequence's operands into locals, but the topmost `above`, which are no operands any more. */
  #putAside(scratch: number, above: number): void {
    const out = this.#out;
    const { types, dirty } = this.#stack;
    const top = this.#stack.height - above;
    for (let i = top - 1; i >= this.#open.at(-1)!.height; i--) {
      if (i >= top - scratch) {
        out.op(OP.localSet, this.#scratch(i - top + scratch, types[i]!));
        continue;
      }
      const local = this.#keep(i);
      out.op(OP.localSet, local);
      if (isDirty(dirty[i]!)) out.canonicalLocal(local, types[i]!, dirty[i]!);
    }
    assertWithin("bytes of one function with its metering", out.body.length, this.#at);
  }

  #takeBack(scratch: number, above: number): void {
    const { types, height } = this.#stack;
    const from = height - above - scratch;
    for (let i = 0; i < scratch; i++) this.#out.op(OP.localGet, this.#scratch(i, types[from + i]!));
  }

  /** Puts the operands below the topmost `results` back under them. */
  #bringBack(results: number): void {
    const out = this.#out;
    const { types } = this.#stack;
    const { height } = this.#open.at(-1)!;
    const from = this.#stack.height - results;
    if (from === height) return;
    for (let i = results - 1; i >= 0; i--) out.op(OP.localSet, this.#scratch(i, types[from + i]!));
    this.#getKept(height, from);
    this.#takeBack(results, 0);
    assertWithin("bytes of one function with its metering", out.body.length, this.#at);
  }
}
