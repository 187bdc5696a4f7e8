/**
 * What a function keeps of itself while the call stack is taken down: its locals and the site that it stands at, on a stack in a memory of
 * the engine's own, the innermost function's first. NaNs whose bits no machine fixes are canonical in it; what counts fuel and stack is
 * not in it, since callers hand it in again. A reference that the host might have given is always null here.
 */
import type { Writer } from "./binary.ts";
import type { Additions, Breakpoints } from "./emitter.ts";
import { OP } from "./op.ts";
import { EXTERNREF, F32, F64, I32, I64, V128 } from "./opcodes.ts";

const BYTES: Record<number, number> = { [I32]: 4, [I64]: 8, [F32]: 4, [F64]: 8, [V128]: 16 };
const LOAD: Record<number, readonly number[]> = { [I32]: [0x28], [I64]: [0x29], [F32]: [0x2a], [F64]: [0x2b], [V128]: [OP.simd, 0] };
const STORE: Record<number, readonly number[]> = { [I32]: [0x36], [I64]: [0x37], [F32]: [0x38], [F64]: [0x39], [V128]: [OP.simd, 11] };
/** In an access, the alignment of one byte and the flag that a memory's index follows. */
const OTHER_MEMORY = 0x40;
/** The memory behind the module's own. */
const STACK_MEMORY_INDEX = 1;

/** A local or global that is saved: the instructions that read and write it. */
export interface Saved {
  type: number;
  get: number;
  set: number;
  index: number;
}
export const savedLocal = (index: number, type: number): Saved => ({ type, get: OP.localGet, set: OP.localSet, index });
const savedGlobal = (index: number, type: number): Saved => ({ type, get: OP.globalGet, set: OP.globalSet, index });

/** Reads and writes `saved` at the stack's end, and moves the end. */
class FrameWriter {
  readonly #w: Writer;
  readonly #top: number;
  readonly #saved: readonly Saved[];
  readonly #size: number;

  constructor(w: Writer, { topGlobal }: Breakpoints, saved: readonly Saved[]) {
    this.#w = w;
    this.#top = topGlobal;
    this.#saved = saved.filter(({ type }) => type !== EXTERNREF);
    this.#size = this.#saved.reduce((sum, { type }) => sum + BYTES[type]!, 0);
  }

  #op(opcode: number, index: number): void {
    this.#w.byte(opcode);
    this.#w.u32(index);
  }
  #access(opcodes: readonly number[], offset: number): void {
    for (const byte of opcodes) this.#w.byte(byte);
    this.#w.byte(OTHER_MEMORY);
    this.#w.u32(STACK_MEMORY_INDEX);
    this.#w.u32(offset);
  }
  #move(operation: number): void {
    this.#op(OP.globalGet, this.#top);
    this.#w.byte(OP.i32Const);
    this.#w.signed(this.#size);
    this.#w.byte(operation);
    this.#op(OP.globalSet, this.#top);
  }

  push(): void {
    let offset = 0;
    for (const { type, get, index } of this.#saved) {
      this.#op(OP.globalGet, this.#top);
      this.#op(get, index);
      this.#access(STORE[type]!, offset);
      offset += BYTES[type]!;
    }
    this.#move(OP.i32Add);
  }

  /** Traps where the stack holds less: the address is then beyond any memory. */
  pop(): void {
    this.#move(OP.i32Sub);
    let offset = 0;
    for (const { type, set, index } of this.#saved) {
      this.#op(OP.globalGet, this.#top);
      this.#access(LOAD[type]!, offset);
      this.#op(set, index);
      offset += BYTES[type]!;
    }
  }
}

export const pushFrame = (w: Writer, breakpoints: Breakpoints, saved: readonly Saved[]): void =>
  new FrameWriter(w, breakpoints, saved).push();
export const popFrame = (w: Writer, breakpoints: Breakpoints, saved: readonly Saved[]): void =>
  new FrameWriter(w, breakpoints, saved).pop();

/** A mutable global of the module's own. */
export type FloatGlobal = readonly [index: number, type: number];

/** In the function for an entry, around what it calls: saves the floats that globals hold, whose bits the host could not read. */
export function aroundEntry(w: Writer, { breakpoint }: Additions, floats: readonly FloatGlobal[], body: () => void): void {
  if (!breakpoint || floats.length === 0) return body();
  const saved = floats.map(([index, type]) => savedGlobal(index, type));
  const whileTakenDown = (write: () => void): void => {
    w.byte(OP.globalGet);
    w.u32(breakpoint.stateGlobal);
    w.byte(OP.if);
    w.byte(0x40);
    write();
    w.byte(OP.end);
  };
  whileTakenDown(() => popFrame(w, breakpoint, saved));
  body();
  whileTakenDown(() => pushFrame(w, breakpoint, saved));
}

/** A value of this type that nobody looks at. */
export function writeAnyValue(w: Writer, type: number): void {
  switch (type) {
    case I32:
    case I64:
      w.byte(type === I32 ? OP.i32Const : OP.i64Const);
      return w.byte(0);
    case F32:
    case F64:
      w.byte(type === F32 ? OP.f32Const : OP.f64Const);
      return w.copy(new Uint8Array(BYTES[type]!));
    case V128:
      w.byte(OP.simd);
      w.byte(12);
      return w.copy(new Uint8Array(16));
    default:
      w.byte(OP.refNull);
      w.byte(type);
  }
}
