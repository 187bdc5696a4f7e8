/**
 * Makes a WASI module deterministic and metered: bytes in, bytes out, a pure function. What is added:
 * import `xeno.fail` (the host could not grow the memory; in a build with checkpoints also `xeno.checkpoint`, called with what is left of
 * the fuel once that is less than the exported global `xeno.next`); exports `xeno.fuel` (i64: what is left), `xeno.stack` (i32: bytes
 * left), `xeno.pages` (i32: the memory's limit), `xeno.refused` (i32: 1 once that limit was met), `xeno.gN` (each mutable global, for the
 * state hash) and `xeno.start` (the start function, which no longer runs by itself).
 */
import { Reader, Refusal, Writer } from "./binary.ts";
import { FloatLocals } from "./float-locals.ts";
import type { Additions } from "./emitter.ts";
import { ADDED_PARAMS, FunctionRewriter } from "./function.ts";
import { MODULE_BYTES_MAX, assertWithin } from "./module-limits.ts";
import { KIND, parseModule, type Limits, type ParsedImport, type ParsedModule, type Span } from "./module.ts";
import { F64, I32, I64 } from "./opcodes.ts";
import { WASI_SIGNATURES } from "../wasi/signatures.ts";

export const ADDED_MODULE = "xeno";
/**
 * A custom section that the rewriter adds: the pages that the memory begins with and may grow to, so that they are known before it is
 * made.
 */
export const NOTES = "xeno.notes";
export const ADDED = {
  fail: "fail",
  fuel: "xeno.fuel",
  stack: "xeno.stack",
  pages: "xeno.pages",
  refused: "xeno.refused",
  start: "xeno.start",
  checkpoint: "checkpoint",
  next: "xeno.next",
  global: "xeno.g",
} as const;

/**
 * A table without a maximum of its own may grow to this; past it `table.grow` fails everywhere alike. Tables lie in the host's own heap.
 */
const TABLE_ENTRIES_MAX = 200_000;
const TABLES_MAX = 4;
const PAGES_MAX = 65_536;
/** Fuel for a page of fresh memory, as a power of two. */
const FUEL_PER_PAGE_LOG2 = 10;
/** Types of fuel, stack, pages, refused. */
const ADDED_GLOBALS = [I64, I32, I32, I32] as const;
const isNumeric = (type: number): boolean => type >= F64;
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00] as const;

/**
 * Throws Refusal where the module may not run. `bytes` must be a module that the platform accepts (WebAssembly.validate). With
 * `checkpoints` the guest can be taken down at every loop's head and entry of a function that calls: slower, and the same in everything
 * else.
 */
export function rewriteModule(bytes: Uint8Array, checkpoints = false): Uint8Array {
  if (bytes.length > MODULE_BYTES_MAX) throw new Refusal(`module of ${bytes.length} bytes`, 0, `at most ${MODULE_BYTES_MAX} are offered`);
  const module = parseModule(bytes);
  checkInterface(module);
  // a float's NaN bits and a reference would not come through the host unchanged
  const hidden = module.globals.find(({ mutable, type }) => mutable && type !== I32 && type !== I64);
  if (checkpoints && hidden) throw new Refusal("a mutable global that is no integer", hidden.init.start, "such a job has no checkpoints");
  const addedImports = checkpoints ? [ADDED.fail, ADDED.checkpoint] : [ADDED.fail];
  const { imports, functions, globals } = module;
  const typeSection = new TypeTable(module);
  const fail = imports.length;
  const grow = imports.length + addedImports.length + functions.length;
  const additions: Additions = {
    fuelGlobal: globals.length,
    stackGlobal: globals.length + 1,
    grow,
    checkpoint: checkpoints ? { call: fail + 1, nextGlobal: globals.length + ADDED_GLOBALS.length } : null,
    functionIndex: (index) => (index < imports.length ? grow + 1 + index : index + addedImports.length),
    blockType: (params, results) => typeSection.blockType(params, results),
  };
  const entries = [startOf(module), ...(module.start === null ? [] : [module.start])];
  const code = rewriteCode(module, additions, fail, entries);
  const out = new Writer(bytes.length + (bytes.length >> 1) + 4096);
  for (const byte of MAGIC) out.byte(byte);
  const nothing = typeSection.index([], []);
  const growType = typeSection.index([I32], [I32]);
  const checkpointType = checkpoints ? typeSection.index([I64], []) : nothing;
  const importTypes = imports.map(({ type }) => typeSection.own(type));
  section(out, 1, (w) => typeSection.write(w));
  section(out, 2, (w) => {
    w.u32(imports.length + addedImports.length);
    for (const [i, each] of imports.entries()) {
      w.copy(bytes, each.names.start, each.names.end);
      w.byte(KIND.function);
      w.u32(importTypes[i]!);
    }
    for (const name of addedImports) {
      w.name(ADDED_MODULE);
      w.name(name);
      w.byte(KIND.function);
      w.u32(name === ADDED.checkpoint ? checkpointType : nothing);
    }
  });
  section(out, 3, (w) => {
    w.u32(functions.length + 1 + imports.length + entries.length);
    for (const type of functions) w.u32(type);
    w.u32(growType);
    for (const { type } of imports) w.u32(type);
    for (let i = 0; i < entries.length; i++) w.u32(nothing);
  });
  if (module.tables.length > TABLES_MAX) throw new Refusal(`${module.tables.length} tables`, 0, `at most ${TABLES_MAX} are offered`);
  if (module.tables.length > 0)
    section(out, 4, (w) => {
      w.u32(module.tables.length);
      for (const { type, limits } of module.tables) {
        if (limits.initial > TABLE_ENTRIES_MAX)
          throw new Refusal(`table of ${limits.initial} entries`, 0, `at most ${TABLE_ENTRIES_MAX} are offered`);
        w.byte(type);
        writeLimits(w, { initial: limits.initial, maximum: Math.min(limits.maximum ?? TABLE_ENTRIES_MAX, TABLE_ENTRIES_MAX) });
      }
    });
  const { memory } = module;
  if (memory)
    section(out, 5, (w) => {
      w.u32(1);
      writeLimits(w, memory);
    });
  section(out, 6, (w) => writeGlobals(w, module, additions));
  section(out, 7, (w) => writeExports(w, module, additions, grow + 1 + imports.length));
  if (module.elements) section(out, 9, (w) => copyElements(w, module, module.elements!, additions));
  if (module.dataCount !== null) section(out, 12, (w) => w.u32(module.dataCount!));
  section(out, 10, (w) => w.copy(code.view()));
  if (module.data) section(out, 11, (w) => w.copy(bytes, module.data!.start, module.data!.end));
  section(out, 0, (w) => {
    w.name(NOTES);
    w.fixed32(memory?.initial ?? 0);
    w.fixed32(memory?.maximum ?? PAGES_MAX);
  });
  return out.view().slice();
}

const WASI_PREFIX = "wasi_snapshot_preview1.";
const START = "_start";
/** Some under the platform's own limit, since the rewriter adds to them. */
const VALUES_MAX = 900;

const LETTERS: Record<number, string> = { [I32]: "i", [I64]: "I" };
const lettersOf = (types: readonly number[]): string => types.map((type) => LETTERS[type] ?? "?").join("");

/** The host takes what an import's type says: values of another kind would fail in it, not in the guest. */
function checkImport({ text, names, type }: ParsedImport, { types }: ParsedModule): void {
  const offered = text.startsWith(WASI_PREFIX) ? WASI_SIGNATURES.get(text.slice(WASI_PREFIX.length)) : undefined;
  if (!offered) throw new Refusal(`import of ${text}`, names.start, `only ${WASI_PREFIX}* is offered; build for wasm32-wasip1`);
  const { params, results } = types[type]!;
  if (lettersOf(params) !== offered.params || lettersOf(results) !== offered.results)
    throw new Refusal(`import of ${text} as a function of another type`, names.start, "build for wasm32-wasip1");
}

/** What a job must import and export to be run. */
function checkInterface(module: ParsedModule): void {
  const { types, imports, exports, start } = module;
  for (const each of imports) checkImport(each, module);
  const has = (name: string, kind: number): boolean => exports.some((each) => each.text === name && each.kind === kind);
  const tooMany = types.findIndex(({ params, results }) => Math.max(params.length, results.length) > VALUES_MAX);
  if (tooMany >= 0)
    throw new Refusal(`function type of over ${VALUES_MAX} values`, module.typeSpans[tooMany]!.start, "pass them in memory");
  const end = module.exportsEnd;
  if (!has("_start", KIND.function)) throw new Refusal("no exported _start function", end, "build a command, not a reactor");
  if (!has("memory", KIND.memory)) throw new Refusal("no exported memory", end, "export it as `memory`");
  const reserved = exports.find(({ text }) => text.startsWith(`${ADDED_MODULE}.`));
  if (reserved) throw new Refusal(`export ${reserved.text}`, reserved.name.start, "names that begin with xeno. are the engine's own");
  if (start !== null && start < imports.length) throw new Refusal("imported start function", end, "start a function of the module's own");
  const { params, results } = types[typeIndexOf(module, startOf(module))]!;
  if (params.length + results.length > 0) throw new Refusal("_start that takes or returns values", end, "a command's _start does neither");
}

const startOf = ({ exports }: ParsedModule): number => exports.find(({ text, kind }) => text === START && kind === KIND.function)!.index;
const typeIndexOf = ({ imports, functions }: ParsedModule, index: number): number =>
  index < imports.length ? imports[index]!.type : functions[index - imports.length]!;

function rewriteCode(module: ParsedModule, additions: Additions, fail: number, entries: readonly number[]): Writer {
  const code = new Writer(module.bytes.length * 2);
  code.u32(module.functions.length + 1 + module.imports.length + entries.length);
  const rewriter = new FunctionRewriter(module, additions, new Writer(65_536), new Writer());
  const floats = new FloatLocals();
  for (const [i, body] of module.bodies.entries()) {
    rewriter.rewrite(module.imports.length + i, body, floats, code);
    assertWithin("bytes with its metering", code.length, body.start);
  }
  const body = new Writer();
  const write = (content: () => void): void => {
    body.clear();
    content();
    code.u32(body.length);
    code.copy(body.view());
  };
  write(() => writeGrow(body, module.memory, additions, fail));
  for (const [index, { type }] of module.imports.entries())
    write(() => writeCallOut(body, index, module.types[type]!.params.length, additions));
  for (const index of entries) write(() => writeCallIn(body, index, additions));
  return code;
}

/**
 * Stands for an imported function: the host finds the counter in its global, and takes its price off there. A guest without fuel does not
 * call out, so that a run up to the fuel of any call has handed out what had been by then, and no more.
 */
function writeCallOut(w: Writer, index: number, params: number, { fuelGlobal }: Additions): void {
  w.byte(0);
  w.byte(0x20);
  w.u32(params);
  w.byte(0x24);
  w.u32(fuelGlobal);
  w.byte(0x20);
  w.u32(params);
  for (const byte of [0x42, 0x00, 0x53, 0x04, 0x40, 0x00, 0x0b]) w.byte(byte); // below zero: unreachable
  for (let i = 0; i < params; i++) {
    w.byte(0x20);
    w.u32(i);
  }
  w.byte(0x10);
  w.u32(index);
  w.byte(0x23);
  w.u32(fuelGlobal);
  w.byte(0x0b);
}

/** What the host calls: fuel and stack from their globals, and what is left of the fuel back. */
function writeCallIn(w: Writer, index: number, { fuelGlobal, stackGlobal, functionIndex }: Additions): void {
  w.byte(0);
  w.byte(0x23);
  w.u32(fuelGlobal);
  w.byte(0x23);
  w.u32(stackGlobal);
  w.byte(0x10);
  w.u32(functionIndex(index));
  w.byte(0x24);
  w.u32(fuelGlobal);
  w.byte(0x0b);
}

/**
 * (delta) → old size or -1. Fails by the job's limit and the module's own maximum alone; a host that cannot give what both allow ends the
 * job as the host's failure.
 */
function writeGrow(w: Writer, memory: Limits | null, { fuelGlobal, stackGlobal }: Additions, fail: number): void {
  const pagesGlobal = stackGlobal + 1;
  const put = (...bytes: number[]): void => {
    for (const byte of bytes) w.byte(byte);
  };
  const constant = (value: number): void => {
    w.byte(0x41);
    w.signed(value);
  };
  if (!memory) return put(0x00, 0x41, 0x7f, 0x0b);
  const maximum = Math.min(memory.maximum ?? PAGES_MAX, PAGES_MAX);
  put(0x01, 0x01, I32); // local 1: the limit, then the answer
  put(0x23);
  w.u32(pagesGlobal);
  constant(maximum);
  put(0x23);
  w.u32(pagesGlobal);
  constant(maximum);
  put(0x49, 0x1b, 0x21, 0x01); // i32.lt_u, select, local.set 1
  put(0x20, 0x00, 0x20, 0x01, 0x3f, 0x00, 0x6b, 0x4b, 0x04, 0x40); // delta > limit - size
  put(0x20, 0x01);
  constant(maximum);
  put(0x49, 0x04, 0x40, 0x41, 0x01, 0x24); // the job's limit, not the module's own: refused = 1
  w.u32(pagesGlobal + 1);
  put(0x0b, 0x41, 0x7f, 0x0f, 0x0b); // return -1
  put(0x23);
  w.u32(fuelGlobal);
  put(0x20, 0x00, 0xad, 0x42, FUEL_PER_PAGE_LOG2, 0x86, 0x7d, 0x24); // fuel -= delta << k
  w.u32(fuelGlobal);
  put(0x20, 0x00, 0x40, 0x00, 0x22, 0x01, 0x41, 0x7f, 0x46, 0x04, 0x40); // memory.grow = -1
  w.byte(0x10);
  w.u32(fail);
  put(0x0b, 0x20, 0x01, 0x0b);
}

class TypeTable {
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

function section(out: Writer, id: number, write: (writer: Writer) => void): void {
  const content = new Writer();
  write(content);
  out.byte(id);
  out.u32(content.length);
  out.copy(content.view());
}

function writeLimits(w: Writer, { initial, maximum }: Limits): void {
  w.byte(maximum === null ? 0 : 1);
  w.u32(initial);
  if (maximum !== null) w.u32(maximum);
}

function writeGlobals(w: Writer, module: ParsedModule, additions: Additions): void {
  const added = additions.checkpoint ? [...ADDED_GLOBALS, I64] : ADDED_GLOBALS;
  w.u32(module.globals.length + added.length);
  for (const { type, mutable, init } of module.globals) {
    w.byte(type);
    w.byte(mutable ? 1 : 0);
    copyConstant(new Reader(module.bytes, init.start, init.end), w, additions);
  }
  for (const type of added) {
    w.byte(type);
    w.byte(1);
    w.byte(type === I64 ? 0x42 : 0x41);
    w.byte(0);
    w.byte(0x0b);
  }
}

/** Only what the host uses: the memory, the entries, and the engine's own state. */
function writeExports(w: Writer, module: ParsedModule, { fuelGlobal, stackGlobal, checkpoint }: Additions, firstEntry: number): void {
  const state = module.globals.flatMap(({ mutable, type }, i) => (mutable && isNumeric(type) ? [i] : []));
  const all: [name: string, kind: number, index: number][] = [
    [START, KIND.function, firstEntry],
    ["memory", KIND.memory, 0],
    [ADDED.fuel, KIND.global, fuelGlobal],
    [ADDED.stack, KIND.global, stackGlobal],
    [ADDED.pages, KIND.global, stackGlobal + 1],
    [ADDED.refused, KIND.global, stackGlobal + 2],
    ...state.map((index): [string, number, number] => [`${ADDED.global}${index}`, KIND.global, index]),
  ];
  if (checkpoint) all.push([ADDED.next, KIND.global, checkpoint.nextGlobal]);
  if (module.start !== null) all.push([ADDED.start, KIND.function, firstEntry + 1]);
  w.u32(all.length);
  for (const [name, kind, index] of all) {
    w.name(name);
    w.byte(kind);
    w.u32(index);
  }
}

/** Copies a constant expression, with functions at their new indexes. */
function copyConstant(reader: Reader, w: Writer, additions: Additions): void {
  for (;;) {
    const at = reader.at;
    const opcode = reader.byte();
    if (opcode === 0xd2) {
      w.byte(opcode);
      w.u32(additions.functionIndex(reader.u32()));
      continue;
    }
    if (opcode === 0x41 || opcode === 0x42 || opcode === 0x23) reader.skipLeb();
    else if (opcode === 0x43) reader.skip(4);
    else if (opcode === 0x44) reader.skip(8);
    else if (opcode === 0xd0) reader.skip(1);
    else if (opcode === 0xfd) {
      reader.u32();
      reader.skip(16);
    } else if (opcode !== 0x0b && !(opcode >= 0x6a && opcode <= 0x6c) && !(opcode >= 0x7c && opcode <= 0x7e))
      throw new Refusal(`constant instruction 0x${opcode.toString(16)}`, at, "compile for wasm32-wasip1");
    w.copy(reader.bytes, at, reader.at);
    if (opcode === 0x0b) return;
  }
}

/** Element segments: eight forms, told apart by three bits (core specification 2.0, section 5.5.12). */
function copyElements(w: Writer, module: ParsedModule, span: Span, additions: Additions): void {
  const reader = new Reader(module.bytes, span.start, span.end);
  const segments = reader.u32();
  let elements = 0;
  w.u32(segments);
  for (let segment = 0; segment < segments; segment++) {
    const flags = reader.u32();
    w.u32(flags);
    const [passive, explicit, expressions] = [flags & 1, flags & 2, flags & 4];
    if (!passive) {
      if (explicit) w.u32(reader.u32());
      copyConstant(reader, w, additions);
    }
    if (passive || explicit) w.byte(reader.byte());
    const count = reader.u32();
    assertWithin("elements of tables", (elements += count), reader.at);
    w.u32(count);
    for (let i = 0; i < count; i++) {
      if (expressions) copyConstant(reader, w, additions);
      else w.u32(additions.functionIndex(reader.u32()));
    }
  }
}
