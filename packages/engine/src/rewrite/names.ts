/**
 * The names of a module's functions, as its name section gives them (core specification, appendix "Name Section"): kept for backtraces, at
 * the functions' new indexes. Who controls the bytes: the customer; what is no such section is left out.
 */
import { Reader, Refusal, type Writer } from "./binary.ts";
import type { Additions } from "./emitter.ts";
import type { ParsedModule, Span } from "./module.ts";

/** A subsection larger than this is left out: it would weigh more than a backtrace is worth. */
const NAMES_BYTES_MAX = 1024 * 1024;
const FUNCTION_NAMES = 1;

/** Where the names of functions stand in the section. */
function functionNames(bytes: Uint8Array, { start, end }: Span): Span | null {
  try {
    for (const reader = new Reader(bytes, start, end); !reader.done;) {
      const id = reader.byte();
      const part = reader.part(reader.u32());
      if (id === FUNCTION_NAMES) return part.end - part.at > NAMES_BYTES_MAX ? null : { start: part.at, end: part.end };
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  return null;
}

interface Named {
  index: number;
  name: Span;
}

function namesIn(bytes: Uint8Array, { start, end }: Span, functions: number): Named[] {
  const reader = new Reader(bytes, start, end);
  const names: Named[] = [];
  try {
    for (let left = reader.u32(), least = 0; left > 0; left--) {
      const index = reader.u32();
      const length = reader.u32();
      const from = reader.skip(length);
      if (index < least || index >= functions) return [];
      least = index + 1;
      names.push({ index, name: { start: from, end: from + length } });
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [];
  }
  return names;
}

/** Writes the section, its own name first. Imported functions are called by others of the engine's own, which have no names. */
export function writeFunctionNames(w: Writer, names: Writer, module: ParsedModule, additions: Additions): void {
  const { bytes, imports, functions } = module;
  const span = module.names && functionNames(bytes, module.names);
  const named = span && namesIn(bytes, span, imports.length + functions.length);
  const own = named?.filter(({ index }) => index >= imports.length) ?? [];
  names.u32(own.length);
  for (const { index, name } of own) {
    names.u32(additions.functionIndex(index));
    names.u32(name.end - name.start);
    names.copy(bytes, name.start, name.end);
  }
  w.name("name");
  w.byte(FUNCTION_NAMES);
  w.u32(names.length);
  w.copy(names.view());
}
