/** The operand stack as it stands at one instruction: types, what is known of floats' bits, and how many bytes it takes at most. */
import { V128 } from "./opcodes.ts";

export const bytesOf = (types: readonly number[]): number => types.reduce((sum, type) => sum + (type === V128 ? 16 : 8), 0);

export class Operands {
  readonly types: number[] = [];
  /** Beside each value: EXACT, NEVER_NAN, the type (F32, F64) whose NaNs have unknown bits, or a local's mark while locals are analysed. */
  readonly dirty: number[] = [];
  bytesMax = 0;
  #bytes = 0;

  clear(): void {
    this.types.length = this.dirty.length = 0;
    this.#bytes = this.bytesMax = 0;
  }

  push(type: number, dirty = 0): void {
    this.types.push(type);
    this.dirty.push(dirty);
    this.#bytes += type === V128 ? 16 : 8;
    if (this.#bytes > this.bytesMax) this.bytesMax = this.#bytes;
  }

  pop(): number {
    const type = this.types.pop()!;
    this.dirty.pop();
    this.#bytes -= type === V128 ? 16 : 8;
    return type;
  }

  popMany(count: number): void {
    for (let i = 0; i < count; i++) this.pop();
  }

  cutTo(height: number): void {
    while (this.types.length > height) this.pop();
  }
}
