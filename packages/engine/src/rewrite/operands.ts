/** The operand stack as it stands at one instruction: types, what is known of floats' bits, and how many bytes it takes at most. */
import { EXNREF, V128 } from "./opcodes.ts";

/**
 * Of an exception that is held: what it carries lies in the host's own heap, so that it counts on the guest's stack for what it may take
 * there (exceptions.ts).
 */
export const EXCEPTION_BYTES = 512;

const sizeOf = (type: number): number => (type === V128 ? 16 : type === EXNREF ? EXCEPTION_BYTES : 8);
export function bytesOf(types: readonly number[]): number {
  let sum = 0;
  for (let i = 0; i < types.length; i++) sum += sizeOf(types[i]!);
  return sum;
}

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

  /** After values of so many bytes each were taken and given in place: how many there are now, and were at most. */
  moveOver(height: number, highest: number, valueBytes: number): void {
    const most = this.#bytes + (highest - this.height) * valueBytes;
    if (most > this.bytesMax) this.bytesMax = most;
    this.#bytes += (height - this.height) * valueBytes;
    this.height = height;
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
