/** The operand stack as it stands at one instruction: types, what is known of floats' bits, and how many bytes it takes at most. */
import { EXNREF, V128 } from "./opcodes.ts";

/**
 * Of an exception that is held: what it carries lies in the host's own heap, so that it counts on the guest's stack for what it may take
 * there (exceptions.ts).
 */
export const EXCEPTION_BYTES = 512;

const sizeOf = (type: number): number => (type === V128 ? 16 : type === EXNREF ? EXCEPTION_BYTES : 8);
export const bytesOf = (types: readonly number[]): number => types.reduce((sum, type) => sum + sizeOf(type), 0);

export class Operands {
  /** Those above `height` are left from before. */
  readonly types: number[] = [];
  /** Beside each value: EXACT, NEVER_NAN, the type (F32, F64) whose NaNs have unknown bits, or a local's mark while locals are analysed. */
  readonly dirty: number[] = [];
  /** How many there are. */
  height = 0;
  bytesMax = 0;
  #bytes = 0;

  clear(): void {
    this.height = 0;
    this.#bytes = this.bytesMax = 0;
  }

  push(type: number, dirty = 0): void {
    this.types[this.height] = type;
    this.dirty[this.height] = dirty;
    this.height++;
    this.#bytes += sizeOf(type);
    if (this.#bytes > this.bytesMax) this.bytesMax = this.#bytes;
  }

  pop(): number {
    const type = this.types[--this.height]!;
    this.#bytes -= sizeOf(type);
    return type;
  }

  popMany(count: number): void {
    for (let i = 0; i < count; i++) this.pop();
  }

  cutTo(height: number): void {
    while (this.height > height) this.pop();
  }
}
