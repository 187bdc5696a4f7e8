/**
 * Makes a WASI module deterministic and metered: bytes in, bytes out, a pure function. What is added:
 * import `xeno.fail` (the host could not grow the memory; in a build with breakpoints also `xeno.breakpoint`, called with what is left of
 * the fuel once that is less than the exported global `xeno.next`); exports `xeno.fuel` (i64: what is left), `xeno.stack` (i32: bytes
 * left), `xeno.pages` (i32: the memory's limit), `xeno.refused` (i32: 1 once that limit was met), `xeno.gN` (each mutable global, for the
 * state hash) and `xeno.start` (the start function, which no longer runs by itself).
 */
import { ADDED, ADDED_GLOBALS } from "./added.ts";
import { writeCallIn, writeCallOut, writeGrow } from "./added-functions.ts";
import { Refusal, Writer } from "./binary.ts";
import type { Additions, Breakpoints } from "./emitter.ts";
import { FloatLocals } from "./float-locals.ts";
import { FunctionRewriter } from "./function.ts";
import { checkInterface, checkState, startOf } from "./interface.ts";
import { MODULE_BYTES_MAX, assertWithin } from "./module-limits.ts";
import { breakpointsIn } from "./sites.ts";
import { SECTION, parseModule, type ParsedModule } from "./module.ts";
import { I32, I64, isFloat } from "./opcodes.ts";
import {
  assertTables,
  copyElements,
  writeExports,
  writeGlobals,
  writeImports,
  writeMemories,
  writeNotes,
  writeTables,
} from "./sections.ts";
import { TypeTable } from "./type-table.ts";

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00] as const;

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
 * Throws Refusal where the module may not run. `bytes` must be a module that the platform accepts (WebAssembly.validate). With
 * `breakpoints` the guest can be taken down at every loop's head and entry of a function that calls: slower, and the same in everything
 * else.
 */
export function rewriteModule(bytes: Uint8Array, breakpoints = false): Uint8Array {
  if (bytes.length > MODULE_BYTES_MAX) throw new Refusal(`module of ${bytes.length} bytes`, 0, `at most ${MODULE_BYTES_MAX} are offered`);
  const module = parseModule(bytes);
  checkInterface(module);
  if (breakpoints) checkState(module);
  const types = new TypeTable(module);
  const layout = layOut(module, types, breakpoints);
  const code = rewriteCode(module, layout);
  return putTogether(module, layout, types, code);
}

function layOut(module: ParsedModule, types: TypeTable, breakpoints: boolean): Layout {
  const { imports, functions, globals, start } = module;
  const fail = imports.length;
  const importsAdded = breakpoints ? 2 : 1;
  const grow = imports.length + importsAdded + functions.length;
  const additions: Additions = {
    fuelGlobal: globals.length,
    stackGlobal: globals.length + 1,
    grow,
    breakpoint: breakpoints ? breakpointsOf(module, fail + 1) : null,
    functionIndex: (index) => (index < imports.length ? grow + 1 + index : index + importsAdded),
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
  const code = new Writer(module.bytes.length * 2);
  code.u32(module.functions.length + 1 + module.imports.length + entries.length);
  const rewriter = new FunctionRewriter(module, additions, new Writer(65_536), new Writer());
  const locals = new FloatLocals();
  for (const [i, body] of module.bodies.entries()) {
    rewriter.rewrite(module.imports.length + i, body, locals, code);
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
  const floats = module.globals.flatMap(({ mutable, type }, i) => (mutable && isFloat(type) ? [[i, type] as const] : []));
  for (const index of entries) write(() => writeCallIn(body, index, additions, floats));
  return code;
}

/** Writes the module's sections once its code is known, which has put the types of its blocks into `types`. */
function putTogether(module: ParsedModule, layout: Layout, types: TypeTable, code: Writer): Uint8Array {
  const { bytes, tables, memory, elements, dataCount, data } = module;
  const { additions } = layout;
  const out = new Writer(bytes.length + (bytes.length >> 1) + 4096);
  for (const byte of MAGIC) out.byte(byte);
  writeSignatures(out, module, layout, types);
  assertTables(tables);
  if (tables.length > 0) section(out, SECTION.table, (w) => writeTables(w, tables));
  if (memory) section(out, SECTION.memory, (w) => writeMemories(w, memory, additions.breakpoint !== null));
  section(out, SECTION.global, (w) => writeGlobals(w, module, additions));
  section(out, SECTION.export, (w) => writeExports(w, module, additions, layout.firstEntry));
  if (elements) section(out, SECTION.element, (w) => copyElements(w, bytes, elements, additions));
  if (dataCount !== null) section(out, SECTION.dataCount, (w) => w.u32(dataCount));
  section(out, SECTION.code, (w) => w.copy(code.view()));
  if (data) section(out, SECTION.data, (w) => w.copy(bytes, data.start, data.end));
  section(out, SECTION.custom, (w) => writeNotes(w, memory));
  return out.view().slice();
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
