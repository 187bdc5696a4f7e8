/** Writes one function's new body: its locals, the counting of fuel, canonical NaNs. */
import type { Writer } from "./binary.ts";
import { NO_BLOCK_TYPE, OP, SIMD_OP } from "./op.ts";
import { F32, V128 } from "./opcodes.ts";
import { bytesOf } from "./operands.ts";

/** Of a build with breakpoints. */
export interface Breakpoints {
  /** What is called with the counter once it has sunk below the global `next`; gives the counter to go on with. */
  call: number;
  nextGlobal: number;
  /** Whether the call stack is being taken down or wound up again (added.ts), and where the stack of frames ends. */
  stateGlobal: number;
  topGlobal: number;
  /** Whether the function with this index, counted as in the original, may meet a breakpoint. */
  mayStop(index: number): boolean;
}

/** The global that is above zero while an exception that the guest threw is on its way; there is one where any code uses it. */
export class Thrown {
  used = false;
  readonly #global: number;

  constructor(global: number) {
    this.#global = global;
  }

  use(): number {
    this.used = true;
    return this.#global;
  }
}

/** Where the rewriter put its own functions and globals. */
export interface Additions {
  fuelGlobal: number;
  stackGlobal: number;
  /** memory.grow within the job's limit. */
  grow: number;
  /** Null in the fast build. */
  breakpoint: Breakpoints | null;
  thrown: Thrown;
  /** Index after the additions of a defined function, or of the function that stands for an imported one. */
  functionIndex(index: number): number;
  /** What code takes references of, by index after the additions: known once the code was rewritten. */
  referenced: Set<number>;
  /** A block's type as the binary format writes it. */
  blockType(params: readonly number[], results: readonly number[]): number;
}

const NO_RUN = -1;

export class Emitter {
  readonly body: Writer;
  readonly #add: Additions;
  /** Types of parameters, locals and what the rewriter added, by index. */
  locals: number[] = [];
  fuelLocal = 0;
  /** Fuel of what was written since the counter was last brought up to date. */
  pending = 0;
  /** Of the locals that only a build with breakpoints has: they count in no frame, so that both builds meet the limit at the same call. */
  spareBytes = 0;
  readonly #scratch = new Map<string, number>();
  /**
   * Where the charge of the straight run that is being written stands, and how much it is: what follows in the same run is added to it.
   * NO_RUN after a branch or a join.
   */
  #runAt = NO_RUN;
  #runCost = 0;
  /** The check at the head of a loop, as long as nothing but its straight run was written since. */
  #loopCheck: { from: number; to: number } | null = null;

  constructor(additions: Additions, body: Writer) {
    this.#add = additions;
    this.body = body;
  }

  /** Begins the body again, with so many locals. */
  clear(locals: number): void {
    this.locals.length = locals;
    if (this.#scratch.size > 0) this.#scratch.clear();
    this.body.clear();
    this.pending = 0;
    this.spareBytes = 0;
    this.endRun();
  }

  /** What comes next is not always run after what came before. */
  endRun(): void {
    this.#runAt = NO_RUN;
    this.#loopCheck = null;
  }

  /** A local of the rewriter's own, the same for the same name. */
  local(name: string, type: number): number {
    let index = this.#scratch.get(name);
    if (index === undefined) this.#scratch.set(name, (index = this.locals.push(type) - 1));
    return index;
  }

  /** The same, of a build with breakpoints alone. */
  spare(name: string, type: number): number {
    const before = this.locals.length;
    const index = this.local(name, type);
    if (index === before) this.spareBytes += bytesOf([type]);
    return index;
  }

  op(opcode: number, index?: number): void {
    if (index === undefined) this.body.byte(opcode);
    else this.body.op(opcode, index);
  }
  i32(value: number): void {
    this.body.byte(OP.i32Const);
    this.body.signed(value);
  }
  i64(value: number): void {
    this.body.byte(OP.i64Const);
    this.body.signed(value);
  }

  /** Takes the pending cost off the local counter: with the run's first charge where there is one. */
  charge(): void {
    if (this.pending === 0 || this.#addToRun()) return;
    this.#takeOff();
    this.op(OP.localSet, this.fuelLocal);
  }

  #addToRun(): boolean {
    if (this.#runAt === NO_RUN) return false;
    this.#runCost += this.pending;
    this.body.paddedAt(this.#runAt, this.#runCost);
    this.pending = 0;
    return true;
  }

  /** Puts on the stack what is left of the counter. */
  #takeOff(): void {
    const { body, fuelLocal } = this;
    body.op(OP.localGet, fuelLocal);
    body.byte(OP.i64Const);
    this.#runAt = body.length;
    this.#runCost = this.pending;
    body.padded(this.pending);
    body.byte(OP.i64Sub);
    this.pending = 0;
  }
  noteFuel(): void {
    this.op(OP.localGet, this.fuelLocal);
    this.op(OP.globalSet, this.#add.fuelGlobal);
  }
  /** Puts the counter on the stack, what is pending taken off. */
  pushFuel(): void {
    if (this.pending > 0 && !this.#addToRun()) return this.#takeOff();
    this.op(OP.localGet, this.fuelLocal);
  }
  takeFuel(): void {
    this.op(OP.globalGet, this.#add.fuelGlobal);
    this.op(OP.localSet, this.fuelLocal);
  }
  /**
   * Traps when the counter is below zero; only then is it handed over here. A call on this cold path would cost every iteration its
   * registers.
   */
  checkFuel(): void {
    this.op(OP.localGet, this.fuelLocal);
    this.i64(0);
    this.op(OP.i64LtS);
    this.op(OP.if, NO_BLOCK_TYPE);
    this.noteFuel();
    this.op(OP.unreachable);
    this.op(OP.end);
  }

  /** The same at the head of a loop. */
  checkLoop(): void {
    const from = this.body.length;
    this.checkFuel();
    this.#loopCheck = { from, to: this.body.length };
  }

  /** A function that checks the fuel at its entry is called: a loop that does so in every round needs no check of its own. */
  calledChecking(): void {
    if (this.#loopCheck) this.body.fill(this.#loopCheck.from, this.#loopCheck.to, OP.nop);
    this.#loopCheck = null;
  }

  /** Replaces a NaN on top of the stack by the canonical one, all of whose bits are set; in vectors, lane by lane as x | (x != x). */
  canonicalTop(type: number, lanes: number): void {
    const scratch = this.local(`nan${type}`, type);
    this.op(OP.localTee, scratch);
    this.op(OP.localGet, scratch);
    if (type === V128) {
      this.op(OP.localGet, scratch);
      this.op(OP.simd, lanes === F32 ? SIMD_OP.f32x4Ne : SIMD_OP.f64x2Ne);
      return this.op(OP.simd, SIMD_OP.or);
    }
    this.op(type === F32 ? OP.f32Ne : OP.f64Ne);
    this.op(OP.if, NO_BLOCK_TYPE);
    this.canonicalNaN(type);
    this.op(OP.localSet, scratch);
    this.op(OP.end);
    this.op(OP.localGet, scratch);
  }

  /** The same for what a local holds. */
  canonicalLocal(local: number, type: number, lanes: number): void {
    this.op(OP.localGet, local);
    this.op(OP.localGet, local);
    if (type === V128) {
      this.op(OP.localGet, local);
      this.op(OP.simd, lanes === F32 ? SIMD_OP.f32x4Ne : SIMD_OP.f64x2Ne);
      this.op(OP.simd, SIMD_OP.or);
      return this.op(OP.localSet, local);
    }
    this.op(type === F32 ? OP.f32Ne : OP.f64Ne);
    this.op(OP.if, NO_BLOCK_TYPE);
    this.canonicalNaN(type);
    this.op(OP.localSet, local);
    this.op(OP.end);
  }

  canonicalNaN(type: number): void {
    this.op(type === F32 ? OP.f32Const : OP.f64Const);
    for (let i = 0; i < (type === F32 ? 4 : 8); i++) this.body.byte(0xff);
  }
}
