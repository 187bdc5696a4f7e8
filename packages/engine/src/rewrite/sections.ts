/** The sections of a rewritten module that are more than copies. */
import type { OwnFunctions } from "../backtrace.ts";
import { ADDED, ADDED_GLOBALS, ADDED_MODULE, BREAKPOINT_GLOBALS, NOTES, PAGES_MAX, THROWN_GLOBAL, UNWOUND_PAGES } from "./added.ts";
import { Reader, Refusal, type Writer } from "./binary.ts";
import type { Additions } from "./emitter.ts";
import { START } from "./interface.ts";
import { assertWithin } from "./module-limits.ts";
import { KIND, type Limits, type ParsedModule, type Span } from "./module.ts";
import { I32, I64 } from "./opcodes.ts";

/**
 * A table may grow to this, or stay as large as it began; past it `table.grow` fails everywhere alike. Tables lie in the host's own heap,
 * at some 32 bytes an entry.
 */
const TABLE_GROWN_MAX = 200_000;
/** Of all tables, before they grow. */
const ENTRIES_MAX = 1_000_000;
const TABLES_MAX = 4;
const isInteger = (type: number): boolean => type === I32 || type === I64;

/** The module's own imports first, so that they keep their indexes. */
export function writeImports(
  w: Writer,
  { bytes, imports }: ParsedModule,
  types: readonly number[],
  added: readonly (readonly [string, number])[],
): void {
  w.u32(imports.length + added.length);
  for (const [i, { names }] of imports.entries()) {
    w.copy(bytes, names.start, names.end);
    w.byte(KIND.function);
    w.u32(types[i]!);
  }
  for (const [name, type] of added) {
    w.name(ADDED_MODULE);
    w.name(name);
    w.byte(KIND.function);
    w.u32(type);
  }
}

export function assertTables(tables: ParsedModule["tables"]): void {
  if (tables.length > TABLES_MAX) throw new Refusal(`${tables.length} tables`, 0, `at most ${TABLES_MAX} are offered`);
  const entries = tables.reduce((sum, { limits }) => sum + limits.initial, 0);
  if (entries > ENTRIES_MAX) throw new Refusal(`tables of ${entries} entries`, 0, `at most ${ENTRIES_MAX} are offered`);
}

export function writeTables(w: Writer, tables: ParsedModule["tables"]): void {
  w.u32(tables.length);
  for (const { type, limits } of tables) {
    w.byte(type);
    const most = Math.max(limits.initial, TABLE_GROWN_MAX);
    writeLimits(w, { initial: limits.initial, maximum: Math.min(limits.maximum ?? most, most) });
  }
}

/** `frames`: and one for the frames of a call stack that is taken down. */
export function writeMemories(w: Writer, memory: Limits, frames: boolean): void {
  w.u32(frames ? 2 : 1);
  writeLimits(w, memory);
  if (frames) writeLimits(w, { initial: UNWOUND_PAGES, maximum: UNWOUND_PAGES });
}

function writeLimits(w: Writer, { initial, maximum }: Limits): void {
  w.byte(maximum === null ? 0 : 1);
  w.u32(initial);
  if (maximum !== null) w.u32(maximum);
}

export function writeTags(w: Writer, types: readonly number[]): void {
  w.u32(types.length);
  for (const type of types) {
    w.byte(0);
    w.u32(type);
  }
}

export function writeGlobals(w: Writer, module: ParsedModule, additions: Additions): void {
  const own = additions.breakpoint ? BREAKPOINT_GLOBALS : additions.thrown.used ? [THROWN_GLOBAL] : [];
  const added = [...ADDED_GLOBALS, ...own];
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
export function writeExports(
  w: Writer,
  module: ParsedModule,
  { fuelGlobal, stackGlobal, breakpoint }: Additions,
  firstEntry: number,
): void {
  const state = module.globals.flatMap(({ mutable, type }, i) => (mutable && isInteger(type) ? [i] : []));
  const all: [name: string, kind: number, index: number][] = [
    [START, KIND.function, firstEntry],
    ["memory", KIND.memory, 0],
    [ADDED.fuel, KIND.global, fuelGlobal],
    [ADDED.stack, KIND.global, stackGlobal],
    [ADDED.pages, KIND.global, stackGlobal + 1],
    [ADDED.refused, KIND.global, stackGlobal + 2],
    ...state.map((index): [string, number, number] => [`${ADDED.global}${index}`, KIND.global, index]),
  ];
  if (breakpoint)
    all.push(
      [ADDED.next, KIND.global, breakpoint.nextGlobal],
      [ADDED.state, KIND.global, breakpoint.stateGlobal],
      [ADDED.top, KIND.global, breakpoint.topGlobal],
      [ADDED.unwound, KIND.memory, 1],
    );
  if (module.start !== null) all.push([ADDED.start, KIND.function, firstEntry + 1]);
  w.u32(all.length);
  for (const [name, kind, index] of all) {
    w.name(name);
    w.byte(kind);
    w.u32(index);
  }
}

export function writeNotes(w: Writer, { memory, bytes }: ParsedModule, { from, to, added }: OwnFunctions): void {
  w.name(NOTES);
  for (const value of [memory?.initial ?? 0, memory?.maximum ?? PAGES_MAX, from, to, added, bytes.length]) w.fixed32(value);
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

/** A segment that fills no table: it says which functions references are taken of. */
const DECLARATIVE = 3;
const OF_FUNCTIONS = 0;

/**
 * Element segments: eight forms, told apart by three bits (core specification 2.0, section 5.5.12). An export declares its function to
 * `ref.func` too, and most exports go: one segment behind the module's own declares what its code takes references of.
 */
export function writeElements(w: Writer, bytes: Uint8Array, own: Span | null, additions: Additions): void {
  const reader = own && new Reader(bytes, own.start, own.end);
  const segments = reader?.u32() ?? 0;
  const { referenced } = additions;
  w.u32(segments + (referenced.size > 0 ? 1 : 0));
  if (reader) copySegments(w, reader, segments, additions);
  if (referenced.size === 0) return;
  w.u32(DECLARATIVE);
  w.byte(OF_FUNCTIONS);
  w.u32(referenced.size);
  for (const index of [...referenced].toSorted((a, b) => a - b)) w.u32(index);
}

function copySegments(w: Writer, reader: Reader, segments: number, additions: Additions): void {
  let elements = 0;
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
