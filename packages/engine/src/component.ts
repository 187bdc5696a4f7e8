/**
 * Commands that are components (WASI 0.2 and later, component-model's Binary.md). Most toolchains make one of a module of preview 1 and an
 * adapter, which says preview 1's calls in those of its host; that module lies in it as it was linked, and is the program. It runs here as
 * it is, with fewer steps between it and its host. Nothing else of a component does. Who controls the bytes: the customer.
 */
import { interfaceFaultOf } from "./rewrite/fault.ts";
import { Reader, Refusal } from "./rewrite/binary.ts";
import { parseModule, type Span } from "./rewrite/module.ts";

const HEADER_BYTES = 8;
const SECTION = { module: 1, component: 4, export: 11 } as const;
/** A command has its own, the adapter and two that bind them. */
const MODULES_MAX = 64;
const RUN = /wasi:cli\/run@0\.\d+\.\d+/;
const SHOWN_MAX = 80;

interface Parts {
  modules: Span[];
  /** It holds others, with modules of their own; those that only name types of what is exported have none. */
  isComposed: boolean;
  /** Of its export section, as bytes that stand for characters. */
  exports: string;
}

const latin1 = (bytes: Uint8Array): string => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** Of a component within one, or a component within that, which counts as code. */
function holdsCode(component: Reader): boolean {
  component.skip(HEADER_BYTES);
  while (!component.done) {
    const id = component.byte();
    if (id === SECTION.module || id === SECTION.component) return true;
    component.part(component.u32());
  }
  return false;
}

function partsOf(bytes: Uint8Array): Parts {
  const reader = new Reader(bytes, HEADER_BYTES);
  const parts: Parts = { modules: [], isComposed: false, exports: "" };
  while (!reader.done) {
    const id = reader.byte();
    const section = reader.part(reader.u32());
    if (id === SECTION.module) parts.modules.push({ start: section.at, end: section.end });
    if (parts.modules.length > MODULES_MAX) throw new Refusal("too many modules", section.at, "");
    if (id === SECTION.component) parts.isComposed ||= holdsCode(section);
    if (id === SECTION.export) parts.exports += latin1(bytes.subarray(section.at, section.end));
  }
  return parts;
}

/** The first call of WASI 0.2 or later that a module makes itself; null where it makes none, or is no module that is read here. */
function callOfWasi(module: Uint8Array): string | null {
  try {
    return parseModule(module).imports.find(({ text }) => text.startsWith("wasi:"))?.text ?? null;
  } catch (error) {
    if (error instanceof Refusal) return null;
    throw error;
  }
}

/** Of a component without a program that runs here: its first module is what was linked, all others came to it. */
function whyNone([first]: readonly Uint8Array[]): string {
  const call = first && callOfWasi(first);
  if (call) return `whose program makes its calls itself (${call.slice(0, SHOWN_MAX)})`;
  const fault = first && interfaceFaultOf(first);
  return `whose program is none that runs here${fault ? ` (${fault})` : ""}`;
}

const WAY_OUT = "build for wasm32-wasip1";
const no = (why: string): { ok: false; why: string } => ({ ok: false, why: `it is a component (WASI 0.2 or later) ${why}: ${WAY_OUT}` });

/** Of what is a component: the module that is its program, a part of the bytes; or why none of it can run here, with the way out. */
export function programIn(bytes: Uint8Array): { ok: true; module: Uint8Array } | { ok: false; why: string } {
  let parts: Parts;
  try {
    parts = partsOf(bytes);
  } catch (error) {
    if (error instanceof Refusal) return no("that is damaged");
    throw error;
  }
  const { modules, isComposed, exports } = parts;
  if (isComposed) return no("put together of several, of which nothing runs by itself");
  if (!RUN.test(exports)) return no("with nothing to run by itself: it is for a host of its own");
  const all = modules.map(({ start, end }) => bytes.subarray(start, end));
  const programs = all.filter((module) => interfaceFaultOf(module) === null);
  const [module] = programs;
  if (module && programs.length === 1) return { ok: true, module };
  return no(programs.length > 1 ? "with several programs" : whyNone(all));
}
