/**
 * Makes a WASI module deterministic and metered: bytes in, bytes out, a pure function. What is added:
 * import `xeno.fail` (the host could not grow the memory; in a build with breakpoints also `xeno.breakpoint`, called with what is left of
 * the fuel once that is less than the exported global `xeno.next`); exports `xeno.fuel` (i64: what is left), `xeno.stack` (i32: bytes
 * left), `xeno.pages` (i32: the memory's limit), `xeno.refused` (i32: 1 once that limit was met), `xeno.gN` (each mutable global, for the
 * state hash) and `xeno.start` (the start function, which no longer runs by itself).
 */
import type { OwnFunctions } from "../backtrace.ts";
import { NeedsMoreMemory, memoryProblem } from "../ordered-memory.ts";
import { ADDED, ADDED_GLOBALS, PAGES_MAX } from "./added.ts";
import { writeCallIn, writeCallOut, writeGrow } from "./added-functions.ts";
import { Refusal, Writer } from "./binary.ts";
import { Thrown, type Additions, type Breakpoints } from "./emitter.ts";
import { FloatLocals } from "./float-locals.ts";
import { FunctionRewriter } from "./function.ts";
import { checkInterface, checkState, startOf } from "./interface.ts";
import { MODULE_BYTES_MAX, assertWithin } from "./module-limits.ts";
import { writeFunctionNames } from "./names.ts";
import { breakpointsIn } from "./sites.ts";
import { SECTION, parseModule, type ParsedModule } from "./module.ts";
import { I32, I64, isFloat } from "./opcodes.ts";
import {
  assertTables,
  writeElements,
  writeExports,
  writeGlobals,
  writeImports,
  writeMemories,
  writeNotes,
  writeTables,
  writeTags,
} from "./sections.ts";
import { TypeTable } from "./type-table.ts";

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00] as const;

/** Room for the sections before the code of a module of so many bytes, at most: where they are larger, the code is moved. */
const BEFORE_CODE_BYTES_MAX = 1 << 20;
const roomBefore = (bytes: number): number => Math.min(bytes + 4096, BEFORE_CODE_BYTES_MAX);

/**
 * Where everything lies. Functions: the module's imports, `xeno.fail` and perhaps `xeno.breakpoint`, the module's own, the memory's growth,
 * one for each import, one for each entry. Globals: the module's own, then the added ones.
 */
interface Layout {
  additions: Additions;
  /** The imported function that says that the host could not grow the memory. */
  fail: number;
  /** What the host calls first, by index in the original: `_start`, and the start function where there is one. */
  entries: readonly number[];
  /** The function by which the host calls the first of the entries. */
  firstEntry: number;
}

/**
 * Throws Refusal where the module may not run; NeedsMoreMemory, before its code is read, where its memory begins with more pages.
 * `bytes` must be a module that the platform accepts (WebAssembly.validate). With `breakpoints` the guest can be taken down at every
 * loop's head and entry of a function that calls: slower, and the same in everything else.
 */
export function rewriteModule(bytes: Uint8Array, breakpoints = false, memoryPagesMax = PAGES_MAX): Uint8Array {
  if (bytes.length > MODULE_BYTES_MAX) throw new Refusal(`module of ${bytes.length} bytes`, 0, `at most ${MODULE_BYTES_MAX} are offered`);
  // a view of a kind of its own would make every access slower
  const module = parseModule(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  checkInterface(module);
  const tooMuch = memoryProblem(module.memory?.initial ?? 0, memoryPagesMax);
  if (tooMuch !== null) throw new NeedsMoreMemory(tooMuch);
  if (breakpoints) checkState(module);
  const types = new TypeTable(module);
  const layout = layOut(module, types, breakpoints);
  const code = rewriteCode(module, layout);
  return putTogether(module, layout, types, code);
}

const importsAdded = (breakpoints: boolean): number => (breakpoints ? 2 : 1);

function layOut(module: ParsedModule, types: TypeTable, breakpoints: boolean): Layout {
  const { imports, functions, globals, start } = module;
  const fail = imports.length;
  const grow = imports.length + importsAdded(breakpoints) + functions.length;
  const additions: Additions = {
    fuelGlobal: globals.length,
    stackGlobal: globals.length + 1,
    grow,
    breakpoint: breakpoints ? breakpointsOf(module, fail + 1) : null,
    // in the fast build alone, so that it stands where the globals of breakpoints would
    thrown: new Thrown(globals.length + ADDED_GLOBALS.length),
    referenced: new Set(),
    functionIndex: (index) => (index < imports.length ? grow + 1 + index : index + importsAdded(breakpoints)),
    blockType: (params, results) => types.blockType(params, results),
  };
  const entries = start === null ? [startOf(module)] : [startOf(module), start];
  return { additions, fail, entries, firstEntry: grow + 1 + imports.length };
}

function breakpointsOf(module: ParsedModule, call: number): Breakpoints {
  const nextGlobal = module.globals.length + ADDED_GLOBALS.length;
  const stops = breakpointsIn(module);
  const { length } = module.imports;
  const mayStop = (index: number): boolean => index >= length && stops[index - length]!;
  return { call, nextGlobal, stateGlobal: nextGlobal + 1, topGlobal: nextGlobal + 2, mayStop };
}

function rewriteCode(module: ParsedModule, { additions, fail, entries }: Layout): Writer {
  const room = roomBefore(module.bytes.length);
  const code = new Writer(module.bytes.length * 2 + room, room);
  code.u32(module.functions.length + 1 + module.imports.length + entries.length);
  const rewriter = new FunctionRewriter(module, additions, code);
  const locals = new FloatLocals();
  for (const [i, body] of module.bodies.entries()) {
    rewriter.rewrite(module.imports.length + i, body, locals);
    assertWithin("bytes with its metering", code.length, body.start);
  }
  const nothing = new Writer(0);
  const write = (content: () => void): void => {
    code.beginEntry();
    content();
    code.endEntry(nothing);
  };
  write(() => writeGrow(code, module.memory, additions, fail));
  for (const [index, { type }] of module.imports.entries())
    write(() => writeCallOut(code, index, module.types[type]!.params.length, additions));
  const floats = module.globals.flatMap(({ mutable, type }, i) => (mutable && isFloat(type) ? [[i, type] as const] : []));
  for (const index of entries) write(() => writeCallIn(code, index, additions, floats));
  return code;
}

/**
 * Writes the sections around the code, which has put the types of its blocks into `types`: what stands before it into the room that was
 * left there, since fresh memory is what rewriting a large module waits for most.
 */
function putTogether(module: ParsedModule, layout: Layout, types: TypeTable, out: Writer): Uint8Array {
  const { bytes, tables, memory, elements, dataCount, data } = module;
  const { additions } = layout;
  const before = new Writer(4096);
  for (const byte of MAGIC) before.byte(byte);
  const tagTypes = module.tags.map((type) => types.own(type));
  writeSignatures(before, module, layout, types);
  assertTables(tables);
  if (tables.length > 0) section(before, SECTION.table, (w) => writeTables(w, tables));
  if (memory) section(before, SECTION.memory, (w) => writeMemories(w, memory, additions.breakpoint !== null));
  if (module.tags.length > 0) section(before, SECTION.tag, (w) => writeTags(w, tagTypes));
  section(before, SECTION.global, (w) => writeGlobals(w, module, additions));
  section(before, SECTION.export, (w) => writeExports(w, module, additions, layout.firstEntry));
  if (elements || additions.referenced.size > 0) section(before, SECTION.element, (w) => writeElements(w, bytes, elements, additions));
  if (dataCount !== null) section(before, SECTION.dataCount, (w) => w.u32(dataCount));
  before.byte(SECTION.code);
  before.u32(out.length);
  if (data) {
    out.byte(SECTION.data);
    out.u32(data.end - data.start);
    out.copy(bytes, data.start, data.end);
  }
  section(out, SECTION.custom, (w) => writeNotes(w, module, ownFunctions(module, additions)));
  if (module.names) section(out, SECTION.custom, (w) => writeFunctionNames(w, new Writer(), module, additions));
  return out.behind(before.view());
}

function ownFunctions({ imports, functions }: ParsedModule, { breakpoint }: Additions): OwnFunctions {
  const added = importsAdded(breakpoint !== null);
  return { from: imports.length + added, to: imports.length + added + functions.length, added };
}

/** All types, and which of them each function has, imported or not. */
function writeSignatures(out: Writer, module: ParsedModule, { additions, entries }: Layout, types: TypeTable): void {
  const { imports, functions } = module;
  const nothing = types.index([], []);
  const grow = types.index([I32], [I32]);
  const added: [name: string, type: number][] = [[ADDED.fail, nothing]];
  if (additions.breakpoint) added.push([ADDED.breakpoint, types.index([I64], [I64])]);
  const importTypes = imports.map(({ type }) => types.own(type));
  section(out, SECTION.type, (w) => types.write(w));
  section(out, SECTION.import, (w) => writeImports(w, module, importTypes, added));
  section(out, SECTION.function, (w) => {
    const all = [...functions, grow, ...imports.map(({ type }) => type), ...entries.map(() => nothing)];
    w.u32(all.length);
    for (const type of all) w.u32(type);
  });
}

function section(out: Writer, id: number, write: (writer: Writer) => void): void {
  const content = new Writer();
  write(content);
  out.byte(id);
  out.u32(content.length);
  out.copy(content.view());
}
