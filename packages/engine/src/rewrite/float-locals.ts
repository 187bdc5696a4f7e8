/**
 * Which locals may hold NaNs with unknown bits. A local that arithmetic alone writes stays as it is and is fixed where its bits are seen;
 * one that also takes loaded or passed bits, which must survive unchanged, is fixed at each write by arithmetic. Flow-insensitive, to a
 * fixpoint.
 */
import { isFloat } from "./opcodes.ts";

/** What is known of a float's bits besides a type (F32, F64), which stands for "arithmetic made it": they are what the program wrote. */
export const EXACT = 0;
/** It is no NaN. */
export const NEVER_NAN = 1;
export const isDirty = (mark: number): boolean => mark > NEVER_NAN;

/** Marks above every value type: "whatever local n holds". */
const FROM_LOCAL = 256;

export class FloatLocals {
  #types: readonly number[] = [];
  /** Lane type that arithmetic wrote, 0 for none, -1 for both. */
  #arith: number[] = [];
  #exact: boolean[] = [];
  #edges: [to: number, from: number][] = [];
  #analysing = false;

  begin(types: readonly number[], paramCount: number): void {
    this.#types = types.slice();
    this.#arith = types.map(() => 0);
    this.#exact = types.map((_, i) => i < paramCount);
    this.#edges = [];
    this.#analysing = true;
  }

  set(index: number, dirty: number): void {
    if (!this.#analysing) return;
    if (dirty >= FROM_LOCAL) this.#edges.push([index, dirty - FROM_LOCAL]);
    else if (dirty === EXACT) this.#exact[index] = true;
    else if (dirty !== NEVER_NAN) this.#join(index, dirty);
  }

  #join(index: number, lanes: number): boolean {
    const before = this.#arith[index]!;
    this.#arith[index] = before === 0 || before === lanes ? lanes : -1;
    return this.#arith[index] !== before;
  }

  finish(): void {
    for (let changed = true; changed;) {
      changed = false;
      for (const [to, from] of this.#edges) {
        if (this.#arith[from] !== 0 && this.#join(to, this.#arith[from]!)) changed = true;
        if (this.#exact[from] && !this.#exact[to]) {
          this.#exact[to] = true;
          changed = true;
        }
      }
    }
    this.#analysing = false;
  }

  /** What a read of the local gives. */
  dirtyOf(index: number): number {
    if (this.#analysing) return isFloat(this.#types[index]!) ? FROM_LOCAL + index : 0;
    return this.mustBeCanonical(index) ? 0 : this.#arith[index]!;
  }

  mustBeCanonical(index: number): boolean {
    return !this.#analysing && (this.#exact[index]! || this.#arith[index] === -1);
  }
}
