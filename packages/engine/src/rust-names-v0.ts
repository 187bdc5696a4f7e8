/**
 * Names of Rust's functions of the kind `_R…`, read and written in one pass (rustc book, "v0 Symbol Format"), as rustc's own tools show
 * them: without hashes and without the types of constants. Constants that are structures, which no stable Rust has, are not read. Who
 * controls a name: the customer. It may say "again what stood there" in itself, so that a few bytes stand for any length: what is
 * written, how often anything is read and how deep it nests are bounded.
 */
import { fromPunycode } from "./punycode.ts";

const WRITTEN_MAX = 2048;
const STEPS_MAX = 4096;
const DEPTH_MAX = 128;

const BASIC: Readonly<Record<string, string>> = {
  ...{ a: "i8", b: "bool", c: "char", d: "f64", e: "str", f: "f32", h: "u8", i: "isize", j: "usize", l: "i32", m: "u32" },
  ...{ n: "i128", o: "u128", p: "_", s: "i16", t: "u16", u: "()", v: "...", x: "i64", y: "u64", z: "!" },
};
const POINTERS: Readonly<Record<string, string>> = { R: "&", Q: "&mut ", P: "*const ", O: "*mut " };
const CLOSURES: Readonly<Record<string, string>> = { C: "closure", S: "shim" };
const INTEGERS = "aslxnihtmyoj";
const LETTERS = 26;
/** Lifetimes that one `for` may name. */
const BOUND_MAX = 64;

class NoName extends Error {}

class Path {
  readonly #bytes: string;
  at = 0;
  written = "";
  #isWriting = true;
  #steps = 0;
  #depth = 0;
  /** Lifetimes that stand bound around this place. */
  #bound = 0;

  constructor(bytes: string) {
    this.#bytes = bytes;
  }

  #write(text: string): void {
    if (!this.#isWriting) return;
    this.written += text;
    if (this.written.length > WRITTEN_MAX) throw new NoName();
  }

  #next(): string {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw new NoName();
    return byte;
  }

  #eat(byte: string): boolean {
    if (this.#bytes[this.at] !== byte) return false;
    this.at++;
    return true;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.#bytes)?.[0];
    if (found === undefined) throw new NoName();
    this.at += found.length;
    return found;
  }

  /** A number to the base 62: `_` is 0, `0_` is 1. */
  #base62(): number {
    const digits = this.#match(/[0-9a-zA-Z]{0,11}_/y).slice(0, -1);
    if (digits === "") return 0;
    const value = (digit: string): number => Number.parseInt(digit, 36) + (digit >= "A" && digit <= "Z" ? LETTERS : 0);
    return [...digits].reduce((sum, digit) => sum * 62 + value(digit), 0) + 1;
  }

  #optional62(tag: string): number {
    return this.#eat(tag) ? this.#base62() + 1 : 0;
  }

  #identifier(): string {
    const isPunycode = this.#eat("u");
    const length = Number(this.#match(/0|[1-9]\d{0,3}/y));
    this.#eat("_");
    const text = this.#bytes.slice(this.at, (this.at += length));
    if (text.length < length) throw new NoName();
    if (!isPunycode) return text;
    const parts = text.split("_");
    const rest = parts.pop()!;
    const name = fromPunycode(parts.join("_"), rest);
    if (name === null) throw new NoName();
    return name;
  }

  /** Reads one thing, within the bounds. */
  #nested(read: (tag: string) => void): void {
    if (++this.#steps > STEPS_MAX || ++this.#depth > DEPTH_MAX) throw new NoName();
    read(this.#next());
    this.#depth--;
  }

  /** Reads once more what stands further ahead in the name. */
  #again(read: () => void): void {
    const from = this.at - 1;
    const to = this.#base62();
    if (to >= from) throw new NoName();
    if (!this.#isWriting) return;
    const back = this.at;
    this.at = to;
    read();
    this.at = back;
  }

  /** Up to its `E`; how many there were. */
  #list(separator: string, read: () => void): number {
    let count = 0;
    for (; !this.#eat("E"); count++) {
      if (count > 0) this.#write(separator);
      read();
    }
    return count;
  }

  #unwritten(read: () => void): void {
    const was = this.#isWriting;
    this.#isWriting = false;
    read();
    this.#isWriting = was;
  }

  path(isValue: boolean): void {
    this.#nested((tag) => {
      switch (tag) {
        case "C":
          this.#optional62("s");
          return this.#write(this.#identifier());
        case "N":
          return this.#member(isValue);
        case "M":
        case "X":
          this.#optional62("s");
          this.#unwritten(() => this.path(false));
          return this.#implementation(tag === "X");
        case "Y":
          return this.#implementation(true);
        case "I":
          this.path(isValue);
          this.#write(isValue ? "::<" : "<");
          this.#list(", ", () => this.#argument());
          return this.#write(">");
        case "B":
          return this.#again(() => this.path(isValue));
        default:
          throw new NoName();
      }
    });
  }

  #member(isValue: boolean): void {
    const space = this.#match(/[a-zA-Z]/y);
    this.path(isValue);
    const number = this.#optional62("s");
    const name = this.#identifier();
    if (space >= "a") return this.#write(name === "" ? "" : `::${name}`);
    this.#write(`::{${CLOSURES[space] ?? space}${name === "" ? "" : `:${name}`}#${number}}`);
  }

  #implementation(isOfTrait: boolean): void {
    this.#write("<");
    this.#type();
    if (isOfTrait) {
      this.#write(" as ");
      this.path(false);
    }
    this.#write(">");
  }

  #argument(): void {
    if (this.#eat("L")) return this.#lifetime(this.#base62());
    if (this.#eat("K")) return this.#constant();
    this.#type();
  }

  #lifetime(index: number): void {
    const depth = this.#bound - index;
    if (index > 0 && depth < 0) throw new NoName();
    this.#write(index === 0 ? "'_" : depth < LETTERS ? `'${String.fromCodePoint(97 + depth)}` : `'_${depth}`);
  }

  #bindsIn(read: () => void): void {
    const count = this.#optional62("G");
    if (count > BOUND_MAX) throw new NoName();
    for (let i = 0; i < count; i++) {
      this.#bound++;
      this.#write(i === 0 ? "for<" : ", ");
      this.#lifetime(1);
    }
    if (count > 0) this.#write("> ");
    read();
    this.#bound -= count;
  }

  #type(): void {
    this.#nested((tag) => {
      const basic = BASIC[tag];
      if (basic !== undefined) return this.#write(basic);
      switch (tag) {
        case "R":
        case "Q":
        case "P":
        case "O":
          return this.#pointer(tag);
        case "A":
        case "S":
          this.#write("[");
          this.#type();
          if (tag === "A") {
            this.#write("; ");
            this.#constant();
          }
          return this.#write("]");
        case "T":
          this.#write("(");
          return this.#write(this.#list(", ", () => this.#type()) === 1 ? ",)" : ")");
        case "F":
          return this.#bindsIn(() => this.#signature());
        case "D":
          return this.#dynamic();
        case "B":
          return this.#again(() => this.#type());
        default:
          this.at--;
          return this.path(false);
      }
    });
  }

  #pointer(tag: string): void {
    const [sign = "", words = ""] = /^(.)(.*)$/.exec(POINTERS[tag]!)?.slice(1) ?? [];
    this.#write(sign);
    const index = sign === "&" && this.#eat("L") ? this.#base62() : 0;
    if (index > 0) {
      this.#lifetime(index);
      this.#write(" ");
    }
    this.#write(words);
    this.#type();
  }

  #signature(): void {
    if (this.#eat("U")) this.#write("unsafe ");
    if (this.#eat("K")) this.#write(`extern "${this.#eat("C") ? "C" : this.#identifier().replaceAll("_", "-")}" `);
    this.#write("fn(");
    this.#list(", ", () => this.#type());
    this.#write(")");
    if (this.#eat("u")) return;
    this.#write(" -> ");
    this.#type();
  }

  #dynamic(): void {
    this.#write("dyn ");
    this.#bindsIn(() => this.#list(" + ", () => this.#boundTrait()));
    if (!this.#eat("L")) throw new NoName();
    const index = this.#base62();
    if (index === 0) return;
    this.#write(" + ");
    this.#lifetime(index);
  }

  /** A trait, with what its associated types are. */
  #boundTrait(): void {
    let isOpen = this.#openPath();
    for (; this.#eat("p"); isOpen = true) {
      this.#write(`${isOpen ? ", " : "<"}${this.#identifier()} = `);
      this.#type();
    }
    if (isOpen) this.#write(">");
  }

  /** Whether it has arguments, whose list is not closed yet. */
  #openPath(): boolean {
    let isOpen = false;
    this.#nested((tag) => {
      if (tag === "B") return this.#again(() => void (isOpen = this.#openPath()));
      if (tag !== "I") {
        this.at--;
        return this.path(false);
      }
      this.path(false);
      this.#write("<");
      this.#list(", ", () => this.#argument());
      isOpen = true;
    });
    return isOpen;
  }

  #constant(): void {
    this.#nested((tag) => {
      if (tag === "p") return this.#write("_");
      if (tag === "B") return this.#again(() => this.#constant());
      if (INTEGERS.includes(tag) && this.#eat("n")) this.#write("-");
      const hex = this.#match(/[0-9a-f]{0,32}_/y).slice(0, -1);
      const value = BigInt(`0x0${hex}`);
      if (INTEGERS.includes(tag)) return this.#write(hex.length > 16 ? `0x${hex}` : `${value}`);
      if (tag === "b" && value <= 1n) return this.#write(`${value === 1n}`);
      if (tag !== "c" || value > 0x10ffffn || (value >= 0xd800n && value < 0xe000n)) throw new NoName();
      const letter = String.fromCodePoint(Number(value));
      this.#write(letter === "'" || letter === "\\" ? `'\\${letter}'` : `'${letter}'`);
    });
  }

  /** A crate in which it was made, of which nothing is shown. */
  instantiating(): void {
    if (/[A-Z]/.test(this.#bytes[this.at] ?? "")) this.#unwritten(() => this.path(false));
  }
}

/** Of the name behind its `_R`; null where it is no path. */
export function pathOf(mangled: string): { text: string; suffix: string } | null {
  const path = new Path(mangled);
  try {
    path.path(true);
    path.instantiating();
  } catch (error) {
    if (error instanceof NoName) return null;
    throw error;
  }
  const suffix = mangled.slice(path.at);
  return /^(?:[.$].*)?$/s.test(suffix) ? { text: path.written, suffix } : null;
}
