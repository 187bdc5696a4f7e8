/** The parts of a module that the rewriter looks into; everything else is copied as it stands. */
import { Reader, Refusal } from "./binary.ts";
import { wayOut } from "./kinds.ts";
import { assertWithin } from "./module-limits.ts";
import { EXNREF, EXTERNREF, FUNCREF, V128, WITHOUT_SWITCHING } from "./opcodes.ts";

export interface FunctionType {
  params: readonly number[];
  results: readonly number[];
}
interface GlobalType {
  type: number;
  mutable: boolean;
}
export interface Limits {
  initial: number;
  maximum: number | null;
}
/** A run of bytes of the original module. */
export interface Span {
  start: number;
  end: number;
}
interface ParsedGlobal extends GlobalType {
  init: Span;
}
export interface ParsedExport {
  name: Span;
  text: string;
  kind: number;
  index: number;
}
/** The exports that the engine looks at; no other is offered to anybody. */
const isKnown = (name: string): boolean => name === "_start" || name === "_initialize" || name === "memory" || name.startsWith("xeno.");
export interface ParsedImport {
  names: Span;
  text: string;
  type: number;
}

export interface ParsedModule {
  bytes: Uint8Array;
  types: FunctionType[];
  typeSpans: Span[];
  imports: ParsedImport[];
  /** Type index of each defined function. */
  functions: number[];
  tables: { type: number; limits: Limits }[];
  memory: Limits | null;
  globals: ParsedGlobal[];
  exports: ParsedExport[];
  exportsEnd: number;
  /** Type index of each kind of exception. */
  tags: number[];
  start: number | null;
  elements: Span | null;
  dataCount: number | null;
  bodies: Span[];
  data: Span | null;
  /** The name section, behind its own name. */
  names: Span | null;
  /** It says of itself that a host links it into a program: words for a refusal, and no reason for one. */
  isLibrary: boolean;
}

export const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const;
export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const;
const HEADER_BYTES = 8;
const TAG_VALUES_MAX = 16;
const FUNCTION_TYPE = 0x60;
const LIMITS_MAXIMUM = 1;
const LIMITS_SHARED = 2;
const LIMITS_64 = 4;
const LIMITS_PAGE_SIZE = 8;

const SHARED = "shared memory";
const OF_GC = "it needs garbage collection or typed references, as what Kotlin, Dart and Java are compiled to does";
const WITHOUT_GC = `${OF_GC}: compile for memory alone, for wasm32-wasip1 (wasm-opt: not -all)`;
/** Values and types of the stack-switching proposal (its Explainer.md, binary format). */
const CONTINUATIONS: ReadonlySet<number> = new Set([0x68, 0x75]);
const CONTINUATION_TYPE = 0x5d;

const refusedType = (what: string, isContinuation: boolean, at: number): Refusal =>
  isContinuation ? new Refusal(`${what} of stack switching`, at, WITHOUT_SWITCHING) : new Refusal(what, at, WITHOUT_GC);

function limitsOf(reader: Reader, of: "memory" | "table"): Limits {
  const at = reader.at;
  const flags = reader.byte();
  if (flags & LIMITS_SHARED) throw new Refusal(`shared ${of}`, at, "threads are not deterministic; compile without -pthread");
  if (flags & LIMITS_PAGE_SIZE)
    throw new Refusal("a memory with pages of its own size", at, "link it with pages of 64 KiB, without --page-size");
  if (flags & LIMITS_64) throw new Refusal(`64-bit ${of}`, at, "compile for wasm32");
  const initial = reader.u32();
  return { initial, maximum: flags & LIMITS_MAXIMUM ? reader.u32() : null };
}

export function assertValueType(type: number, at: number): void {
  if ((type >= V128 && type <= 0x7f) || type === FUNCREF || type === EXTERNREF || type === EXNREF) return;
  throw refusedType(`value type 0x${type.toString(16)}`, CONTINUATIONS.has(type), at);
}

export function valueType(reader: Reader): number {
  const at = reader.at;
  const type = reader.byte();
  assertValueType(type, at);
  return type;
}

/** Of a table's entries and of mutable globals: nothing counts what exceptions take there. */
function keptType(reader: Reader, what: string): number {
  const at = reader.at;
  const type = valueType(reader);
  if (type === EXNREF) throw new Refusal(`${what} of exceptions`, at, "keep them in locals");
  return type;
}

/** However many it says that they are: each takes a byte. */
function typesOf(reader: Reader): number[] {
  const types: number[] = [];
  for (let left = reader.u32(); left > 0; left--) types.push(valueType(reader));
  return types;
}

/** Names that mean something here are shorter; of longer ones the beginning stands in messages. */
const NAME_SHOWN_MAX = 100;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function nameOf(reader: Reader): string {
  const length = reader.u32();
  const start = reader.skip(length);
  const shown = decoder.decode(reader.bytes.subarray(start, start + Math.min(length, NAME_SHOWN_MAX)));
  return length > NAME_SHOWN_MAX ? `${shown}...` : shown;
}

/** Skips a constant expression; the caller keeps its bytes. */
function skipConstant(reader: Reader): void {
  for (;;) {
    const at = reader.at;
    const opcode = reader.byte();
    if (opcode === 0x0b) return;
    if (opcode === 0x41 || opcode === 0x42 || opcode === 0x23 || opcode === 0xd2) reader.skipLeb();
    else if (opcode === 0x43) reader.skip(4);
    else if (opcode === 0x44) reader.skip(8);
    else if (opcode === 0xd0) reader.skip(1);
    else if (opcode === 0xfd) {
      if (reader.u32() !== 12) throw new Refusal("constant expression", at, "the module is malformed");
      reader.skip(16);
    } else if (!(opcode >= 0x6a && opcode <= 0x6c) && !(opcode >= 0x7c && opcode <= 0x7e))
      throw new Refusal(`constant instruction 0x${opcode.toString(16)}`, at, "compile for wasm32-wasip1");
  }
}

/** Of a module that the platform refuses there may be none. */
export function typeAt(types: readonly FunctionType[], index: number | undefined, at: number): FunctionType {
  const type = types[index ?? -1];
  if (!type) throw new Refusal(`type ${index ?? "of a function that is not there"}`, at, "the module is malformed");
  return type;
}

export function typeOfFunction({ imports, functions, types }: ParsedModule, index: number): FunctionType {
  return typeAt(types, index < imports.length ? imports[index]?.type : functions[index - imports.length], 0);
}

/** Throws Refusal for what may not run; that all of it fits together is for the platform to say. */
export function parseModule(bytes: Uint8Array): ParsedModule {
  const reader = new Reader(bytes, HEADER_BYTES);
  const module: ParsedModule = {
    bytes,
    types: [],
    typeSpans: [],
    imports: [],
    functions: [],
    tables: [],
    memory: null,
    globals: [],
    exports: [],
    exportsEnd: 0,
    tags: [],
    start: null,
    elements: null,
    dataCount: null,
    bodies: [],
    data: null,
    names: null,
    isLibrary: false,
  };
  while (!reader.done) {
    const at = reader.at;
    const id = reader.byte();
    const section = reader.part(reader.u32());
    readSection(module, id, section, at);
  }
  return module;
}

function readSection(module: ParsedModule, id: number, section: Reader, at: number): void {
  const counted = (what: Parameters<typeof assertWithin>[0]): number => {
    const count = section.u32();
    assertWithin(what, count, at);
    return count;
  };
  switch (id) {
    case SECTION.custom:
      return readCustom(module, section);
    case SECTION.type:
      return readTypes(module, section, counted("types"));
    case SECTION.import:
      return readImports(module, section, counted("imports"));
    case SECTION.function:
      return each(counted("functions"), () => module.functions.push(section.u32()));
    case SECTION.table:
      return each(section.u32(), () => module.tables.push({ type: keptType(section, "a table"), limits: limitsOf(section, "table") }));
    case SECTION.memory:
      return each(section.u32(), () => readMemory(module, section));
    case SECTION.global:
      return each(counted("globals"), () => module.globals.push(globalOf(section)));
    case SECTION.export:
      return each(counted("exports"), () => readExport(module, section));
    case SECTION.start:
      module.start = section.u32();
      return;
    case SECTION.element:
      module.elements = { start: section.at, end: section.end };
      return;
    case SECTION.dataCount:
      module.dataCount = section.u32();
      return;
    case SECTION.code:
      return each(section.u32(), () => module.bodies.push(bodyOf(section)));
    case SECTION.data:
      module.data = { start: section.at, end: section.end };
      return;
    case SECTION.tag:
      return each(counted("tags"), () => module.tags.push(tagOf(module, section)));
    default:
      throw new Refusal(`section ${id}`, at, "this engine does not know it; compile for wasm32-wasip1");
  }
}

/** What tool-conventions' DynamicLinking.md has a library say of itself, in its second and first edition. */
const OF_LIBRARIES: readonly string[] = ["dylink.0", "dylink"];

const LIBRARY = "it is a library that a host links into a program while that runs, or such a program: link all of it into a command";

/** What stands in one changes nothing about what runs (WebAssembly 3.0, 7.5): nothing is refused for it. */
function readCustom(module: ParsedModule, section: Reader): void {
  const name = nameOf(section);
  if (name === "name") module.names = { start: section.at, end: section.end };
  module.isLibrary ||= OF_LIBRARIES.includes(name);
}

function each(count: number, read: () => void): void {
  for (let left = count; left > 0; left--) read();
}

function readTypes(module: ParsedModule, section: Reader, count: number): void {
  let values = 0;
  for (let left = count; left > 0; left--) {
    const start = section.at;
    const form = section.byte();
    if (form !== FUNCTION_TYPE) throw refusedType(`type form 0x${form.toString(16)}`, form === CONTINUATION_TYPE, start);
    const type = { params: typesOf(section), results: typesOf(section) };
    assertWithin("values in types", (values += type.params.length + type.results.length), start);
    module.types.push(type);
    module.typeSpans.push({ start, end: section.at });
  }
}

/** An addon's functions for Node, by what it calls of Node's. */
const OF_ADDONS = /\b(?:e?mnapi|napi)_/;

function readImports(module: ParsedModule, section: Reader, count: number): void {
  const { at, bytes, end } = section;
  try {
    each(count, () => module.imports.push(importOf(module, section)));
  } catch (error) {
    // what imports its memory names it before or after what tells whose it is
    if (error instanceof Refusal && error.what === SHARED && OF_ADDONS.test(decoder.decode(bytes.subarray(at, end))))
      throw new Refusal(`${SHARED} of an addon for Node`, error.offset, "it is built with threads; build for wasm32-wasip1, as a command");
    throw error;
  }
}

function importOf({ isLibrary }: ParsedModule, section: Reader): ParsedImport {
  const start = section.at;
  const text = `${nameOf(section)}.${nameOf(section)}`;
  const names = { start, end: section.at };
  const kind = section.byte();
  // of a memory it tells more which kind it is than who has to bring it
  if (kind === KIND.memory) limitsOf(section, "memory");
  if (kind !== KIND.function) throw new Refusal(`import of ${text}`, start, isLibrary ? LIBRARY : wayOut(text));
  return { names, text, type: section.u32() };
}

function readMemory(module: ParsedModule, section: Reader): void {
  if (module.memory) throw new Refusal("second memory", section.at, "compile without -mmultimemory");
  module.memory = limitsOf(section, "memory");
}

function globalOf(section: Reader): ParsedGlobal {
  const start = section.at;
  const type = keptType(section, "a global");
  const mutable = section.byte() === 1;
  if (mutable && type === V128)
    throw new Refusal("mutable v128 global", start, "the state of a job could not be shown; keep vectors in memory");
  const from = section.at;
  skipConstant(section);
  return { type, mutable, init: { start: from, end: section.at } };
}

/** What an exception carries lies in the host's own heap. */
function tagOf({ types }: ParsedModule, section: Reader): number {
  const start = section.at;
  section.byte();
  const type = section.u32();
  const carried = typeAt(types, type, start).params.length;
  if (carried > TAG_VALUES_MAX) throw new Refusal(`exception of ${carried} values`, start, "pass them in memory");
  return type;
}

function readExport(module: ParsedModule, section: Reader): void {
  const start = section.at;
  const text = nameOf(section);
  const one = { name: { start, end: section.at }, text, kind: section.byte(), index: section.u32() };
  if (isKnown(text)) module.exports.push(one);
  module.exportsEnd = section.at;
}

function bodyOf(section: Reader): Span {
  const length = section.u32();
  const start = section.skip(length);
  return { start, end: start + length };
}
