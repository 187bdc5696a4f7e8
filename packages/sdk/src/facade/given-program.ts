/** A program that a program hands in, which is no file. Who controls the inputs: the program that calls. */
import { bytesBlob, type Blob, type SourceEntry } from "../blob.ts";
import { InputError } from "../errors.ts";
import type { ProgramKind } from "../runtimes.ts";
import type { RunInput } from "./run-input.ts";

export interface GivenProgram {
  /** As a file of it would be called: it ends in .wasm or .py. */
  name: string;
  blob: Blob;
  /** As messages call it; absent: by its name. */
  said?: string;
  /** Absent: its name says it. */
  kind?: ProgramKind;
  /** Of a folder that is a program: all that is in it, below its name; `blob` is its `__main__.py`. */
  tree?: readonly SourceEntry[];
}

/** A text as bytes, or bytes that nobody changes any more; `slice` of a Buffer would copy nothing. */
export const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);

/** Undefined where it is a file, or neither a module nor a script. Throws InputError. */
export function programOf({ python, module }: RunInput): GivenProgram | undefined {
  if (typeof python === "object") {
    const { source, name = "main.py" } = python;
    if (name.includes("/")) throw new InputError(`python: ${name} is no name of a file`);
    return { name: name.endsWith(".py") ? name : `${name}.py`, blob: bytesBlob(bytesOf(source)) };
  }
  return module instanceof Uint8Array ? { name: "main.wasm", blob: bytesBlob(bytesOf(module)) } : undefined;
}
