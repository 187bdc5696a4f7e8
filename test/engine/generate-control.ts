/**
 * Random modules that are all control flow: blocks, loops and ifs with parameters and results, branches and tables of branches out of them,
 * calls of every kind in every place, with values waiting below them. The same seed gives the same text. Some of them end by a trap, or by
 * their limit of fuel only.
 */
import { Handlers, TAGS, type Encoding, type Type } from "./generate-handlers.ts";
import { Random } from "../../packages/testkit/src/random.ts";

const TYPES = ["i32", "i64", "f32", "f64"] as const satisfies readonly Type[];
const FUNCTIONS = 6;
/** Locals of each type, parameters included. */
const LOCALS = 2;

class Text {
  readonly #random: Random;
  readonly #index: number;
  /** Results of the labels around, the function's own apart. */
  readonly #labels: Type[][] = [];
  #left = 60;
  /** So far; each has a counter of its own. */
  loops = 0;
  readonly #handlers: Handlers | null;
  /** No float is a NaN, so that a build that is not the engine's comes to the same bits. */
  readonly #exact: boolean;

  constructor(random: Random, index: number, { encoding, exact }: Options) {
    this.#random = random;
    this.#index = index;
    this.#exact = exact;
    this.#handlers = encoding && new Handlers(encoding, random, this);
  }

  get labels(): readonly (readonly Type[])[] {
    return this.#labels;
  }

  /** Code inside one more label. */
  within(results: Type[], body: () => string): string {
    this.#labels.push(results);
    const text = body();
    this.#labels.pop();
    return text;
  }

  #constant(type: Type): string {
    const floats = this.#exact ? ["-inf", "1.5", "0", "-7"] : ["nan", "nan:0x123", "-inf", "1.5", "0", "-7"];
    const value = type.startsWith("i") ? this.#random.between(-5, 300) : this.#random.pick(floats);
    return `${type}.const ${value}`;
  }

  /** An operation of two such values. */
  #joined(type: Type): string {
    if (this.#exact && type.startsWith("f")) return `${type}.max`;
    return `${type}.add`;
  }

  value(type: Type, depth: number): string {
    const random = this.#random;
    this.#left--;
    if (depth <= 0 || this.#left < 0)
      return random.chance(0.5) ? this.#constant(type) : `local.get $${type}${random.between(0, LOCALS - 1)}`;
    const next = (): string => this.value(type, depth - 1);
    const condition = (): string => this.value("i32", depth - 1);
    if (this.#handlers && random.chance(0.3)) return this.#handlers.value(type, depth);
    switch (random.between(0, 9)) {
      case 0:
        if (type.startsWith("i")) return `${next()} ${next()} ${type}.${random.pick(["add", "xor", "mul"])}`;
        return `${next()} ${next()} ${type}.${random.pick(this.#exact ? ["min", "max"] : ["add", "mul", "div"])}`;
      case 1:
        return `block (result ${type}) ${this.within([type], () => `${next()} ${condition()} br_if 0`)} end`;
      case 2:
        return `${condition()} if (result ${type}) ${this.within([type], () => `${next()} else ${next()}`)} end`;
      case 3:
        return this.#loop(type, depth);
      case 4:
        return `block (result ${type}) ${this.within([type], () => this.#table(type, depth))} end`;
      case 5:
        return `${next()} ${this.statement(depth - 1)} ${next()} ${this.#joined(type)}`;
      case 6:
        return `${next()} ${condition()} if (param ${type}) (result ${type}) ${this.within([type], () => `${next()} ${this.#joined(type)}`)} else end`;
      default:
        return this.#call(type, depth);
    }
  }

  #table(type: Type, depth: number): string {
    const inner = this.within([type], () => `${this.value(type, depth - 1)} ${this.value("i32", depth - 1)} br_table 0 1 0`);
    return `block (result ${type}) ${inner} end ${this.value(type, depth - 1)} ${this.#joined(type)}`;
  }

  /** Goes round a few times, with its value as a parameter. */
  #loop(type: Type, depth: number): string {
    const counter = `$c${this.loops++}`;
    const body = this.within([type], () => `${this.statement(depth - 1)} ${this.value(type, depth - 1)} ${this.#joined(type)}`);
    const again = `local.get ${counter} i32.const 1 i32.sub local.tee ${counter} br_if 0`;
    const rounds = this.#random.between(1, 2);
    return `i32.const ${rounds} local.set ${counter} ${this.value(type, depth - 1)} loop (param ${type}) (result ${type}) ${body} ${again} end`;
  }

  /** Each function takes (i32, f64) and gives (i32, i64, f32, f64). */
  #call(type: Type, depth: number): string {
    const random = this.#random;
    const later = this.#index + 1 + random.between(0, 1);
    const back = random.chance(0.01);
    if (later >= FUNCTIONS && !back) return this.#constant(type);
    const index = back ? random.between(0, FUNCTIONS - 1) : later;
    const args = `${this.value("i32", depth - 1)} ${this.value("f64", depth - 1)}`;
    const call = random.chance(0.3) ? `i32.const ${random.chance(0.01) ? FUNCTIONS : index} call_indirect (type $t)` : `call $f${index}`;
    const after = TYPES.slice(TYPES.indexOf(type) + 1).map(() => "drop");
    const before = TYPES.slice(0, TYPES.indexOf(type)).map(() => "drop");
    const kept = before.length > 0 ? `local.set $${type}0 ${before.join(" ")} local.get $${type}0` : "";
    return `${args} ${call} ${after.join(" ")} ${kept}`;
  }

  statement(depth: number): string {
    const random = this.#random;
    const type = random.pick(TYPES);
    if (this.#handlers && random.chance(0.1)) return this.#handlers.thrown(depth);
    switch (random.between(0, 6)) {
      case 0:
        return `${this.value("i32", depth)} if ${this.within([], () => this.statement(depth - 1))} end`;
      case 1:
        return `block ${this.within([], () => `${this.value("i32", depth)} br_if 0 ${this.statement(depth - 1)} br 0`)} end`;
      case 2:
        return `global.get $${type} drop ${this.value(type, depth)} global.set $${type}`;
      case 3: {
        const out = this.#labels.findLastIndex((results) => results.length === 0);
        if (out < 0) return "nop";
        return `${this.value("i32", depth)} if ${this.value("i32", 0)} drop br ${this.#labels.length - out} end`;
      }
      case 4:
        return depth > 1 ? `${this.statement(depth - 1)} ${this.statement(depth - 1)}` : "nop";
      case 5:
        return `i32.const 64 ${this.value(type, depth)} ${type}.store`;
      default:
        return `${this.value(type, depth)} local.set $${type}${random.between(0, LOCALS - 1)}`;
    }
  }
}

interface Options {
  /** How exceptions are written; null: there are none. */
  encoding: Encoding | null;
  exact: boolean;
}

export function generateControl(seed: number, options: Options = { encoding: null, exact: false }): string {
  const random = new Random(seed);
  const locals = TYPES.flatMap((type) => Array.from({ length: LOCALS }, (_, i) => `$${type}${i}`)).filter(
    (name) => name !== "$i320" && name !== "$f640",
  );
  const functions = Array.from({ length: FUNCTIONS }, (_, i) => {
    const text = new Text(random, i, options);
    const body = `${text.statement(3)} ${text.statement(3)} ${TYPES.map((type) => text.value(type, 4)).join(" ")}`;
    const declared = [
      ...locals.map((name) => `(local ${name} ${name.slice(1, 4)})`),
      ...Array.from({ length: text.loops }, (_each, n) => `(local $c${n} i32)`),
    ].join(" ");
    return `(func $f${i} (type $t) (param $i320 i32) (param $f640 f64) (result i32 i64 f32 f64) ${declared} ${body})`;
  });
  const start = Array.from({ length: 3 }, (_, i) => `i32.const ${i} f64.const 1.25 call $f${i} drop drop drop drop`);
  return `(module (type $t (func (param i32 f64) (result i32 i64 f32 f64)))
    ${TYPES.map((type) => `(global $${type} (mut ${type}) (${type}.const 3))`).join(" ")}
    ${options.encoding ? TAGS : ""}
    (memory (export "memory") 1) (table 8 funcref) (elem (i32.const 0) ${Array.from({ length: FUNCTIONS }, (_, i) => `$f${i}`).join(" ")})
    ${functions.join("\n")}
    (func (export "_start") ${start.join(" ")}
      ${TYPES.map((type, i) => `i32.const ${16 * i} global.get $${type} ${type}.store`).join(" ")}))`;
}
