/** The types of a rewritten module: its own at their indexes, each with what the rewriter adds, and behind them those that are added. */
import type { Writer } from "./binary.ts";
import type { ParsedModule } from "./module.ts";
import { I64 } from "./opcodes.ts";
import { ADDED_PARAMS } from "./walk.ts";

export class TypeTable {
  readonly #module: ParsedModule;
  readonly #added: { params: readonly number[]; results: readonly number[] }[] = [];
  readonly #known = new Map<string, number>();

  constructor(module: ParsedModule) {
    this.#module = module;
  }

  index(params: readonly number[], results: readonly number[]): number {
    const key = `${params.join()}:${results.join()}`;
    let index = this.#known.get(key);
    if (index === undefined) this.#known.set(key, (index = this.#module.types.length + this.#added.push({ params, results }) - 1));
    return index;
  }

  blockType(params: readonly number[], results: readonly number[]): number {
    if (params.length > 0 || results.length > 1) return this.index(params, results);
    return results.length === 0 ? -64 : results[0]! - 128;
  }

  /** The module's own type as it was, for its imports. */
  own(index: number): number {
    const { params, results } = this.#module.types[index]!;
    return this.index(params, results);
  }

  /** Functions keep their type indexes; each type takes and returns what the rewriter adds. */
  write(w: Writer): void {
    const one = (params: readonly number[], results: readonly number[]): void => {
      w.byte(0x60);
      for (const types of [params, results]) {
        w.u32(types.length);
        for (const type of types) w.byte(type);
      }
    };
    w.u32(this.#module.types.length + this.#added.length);
    for (const { params, results } of this.#module.types) one([...params, ...ADDED_PARAMS], [...results, I64]);
    for (const { params, results } of this.#added) one(params, results);
  }
}
