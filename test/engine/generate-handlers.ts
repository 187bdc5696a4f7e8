/** Exceptions in random modules: thrown, handled, passed on and held, in either of the two encodings. */
import type { Random } from "../../packages/testkit/src/random.ts";

export type Encoding = "try" | "try_table";
export type Type = "i32" | "i64" | "f32" | "f64";
/** Writes the code around handlers and in them. */
interface Coder {
  /** Results of the labels around. */
  readonly labels: readonly (readonly Type[])[];
  /** Code inside one more label. */
  within(results: Type[], body: () => string): string;
  value(type: Type, depth: number): string;
  statement(depth: number): string;
}
/** One that carries values, with NaNs among them, and one that carries nothing. */
export const TAGS = "(tag $e (param i32 f64)) (tag $n)";
const CARRIED = ["i32", "f64"] as const satisfies readonly Type[];
const KEEP = "local.set $f640 local.set $i320";

export class Handlers {
  readonly #encoding: Encoding;
  readonly #random: Random;
  readonly #text: Coder;

  constructor(encoding: Encoding, random: Random, text: Coder) {
    this.#encoding = encoding;
    this.#random = random;
    this.#text = text;
  }

  /** Throws, mostly under a condition. */
  thrown(depth: number): string {
    const text = this.#text;
    const carrying = (): string => `${text.value("i32", 0)} ${text.value("f64", depth - 1)} throw $e`;
    const thrown = text.within([], () => (this.#random.chance(0.6) ? carrying() : "throw $n"));
    return `${text.value("i32", depth - 1)} if ${thrown} end`;
  }

  /** A block with a handler, one value in all. */
  value(type: Type, depth: number): string {
    return this.#encoding === "try" ? this.#try(type, depth) : this.#tryTable(type, depth);
  }

  #try(type: Type, depth: number): string {
    const [random, text] = [this.#random, this.#text];
    const body = (): string => `${text.statement(depth - 1)} ${text.value(type, depth - 1)}`;
    const again = (): string => (random.chance(0.3) ? `${text.value("i32", 0)} if rethrow 1 end` : "");
    return `try (result ${type}) ${text.within([type], () => {
      const tried = body();
      if (random.chance(0.2)) return `${tried} delegate ${random.between(0, text.labels.length - 1)}`;
      const arms = [`catch $e ${KEEP} ${again()} ${body()}`, `catch $n ${again()} ${body()}`, `catch_all ${again()} ${body()}`];
      return `${tried} ${arms.filter((_, i) => random.chance(0.6) || i === 2).join(" ")} end`;
    })}`;
  }

  #tryTable(type: Type, depth: number): string {
    const [random, text] = [this.#random, this.#text];
    const body = (): string => `${text.statement(depth - 1)} ${text.value(type, depth - 1)}`;
    const held = random.chance(0.5);
    const labels = [type, ...(held ? ["exnref"] : [])] as Type[];
    const out = text.labels.findLastIndex((results) => results.length === 0);
    const aside = out < 0 ? "" : `(catch${random.chance(0.5) ? " $n" : "_all"} ${text.labels.length + 2 - 1 - out})`;
    const clause = held ? "catch_ref" : "catch";
    const tried = text.within(labels, () =>
      text.within([...CARRIED], () => `try_table (result ${type}) (${clause} $e 0) ${aside} ${text.within([type], body)} end br 1`),
    );
    const caught = `block (result i32 f64${held ? " exnref" : ""}) ${tried} end`;
    const after = held ? `drop ${KEEP}` : KEEP;
    return `block (result ${type}) ${caught} ${after} ${text.within([type], body)} end`;
  }
}
