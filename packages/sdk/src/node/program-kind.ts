/**
 * What a program of this machine is, by its name where that says it, else by its first and last bytes. Who controls the file: whoever
 * runs it.
 */
import { open, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { InputError } from "../errors.ts";
import { PROGRAM_FILE, type ProgramKind } from "../runtimes.ts";

/** A `#!` line, and what executables begin with. */
const HEAD_BYTES = 512;
/** The end of a zip archive: its list of few names, and the record behind it (APPNOTE.TXT 4.3.16, 22 bytes and a comment). */
const TAIL_BYTES = 128 * 1024;
const MODULE = "\0asm";
const NEITHER = "neither a module nor a script";
const END_OF_ZIP = "PK\x05\x06";
const MAIN = "__main__.py";
/** CPython runs a folder, and an archive, that has one. */
const MAIN_IN_ZIP = new RegExp(`(?<![\\w./-])${MAIN}`);

/** Of what runs on a system of its own, by how it begins: ELF, PE, Mach-O; of several, where a class of Java's says its version. */
const EXECUTABLES: readonly (readonly [RegExp, string])[] = [
  [/^\x7fELF/, "a program for Linux"],
  [/^MZ/, "a program for Windows"],
  [/^(?:\xfe\xed\xfa[\xce\xcf]|[\xce\xcf]\xfa\xed\xfe|\xca\xfe\xba\xbe\0\0\0[^\0 -\xff])/, "a program for macOS"],
];

async function ends(handle: FileHandle, size: number): Promise<{ head: string; tail: string }> {
  const read = async (offset: number, length: number): Promise<string> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
    return buffer.toString("latin1", 0, bytesRead);
  };
  return { head: await read(0, HEAD_BYTES), tail: await read(Math.max(0, size - TAIL_BYTES), TAIL_BYTES) };
}

/** What starts it, by its first line: `#!/usr/bin/env -S NAME` is NAME (env(1)); null: none is named. */
export function interpreterIn(head: string): string | null {
  const [first = "", ...words] = /^#![ \t]*([^\n\r]*)/.exec(head)?.[1]?.split(/[ \t]+/) ?? [];
  const named = path.posix.basename(first) === "env" ? words.find((word) => !word.startsWith("-") && !word.includes("=")) : first;
  return named === undefined || named === "" ? null : path.posix.basename(named);
}

/** `kind`: it runs here; `is`: in words, what it is in its place. */
type FoundProgram = { kind: ProgramKind } | { is: string };

function kindOf({ head, tail }: { head: string; tail: string }): FoundProgram {
  if (head.startsWith(MODULE)) return { kind: "module" };
  // some have an archive at their end, or look for one
  const executable = EXECUTABLES.find(([begins]) => begins.test(head));
  if (executable) return { is: executable[1] };
  if (tail.includes(END_OF_ZIP)) return MAIN_IN_ZIP.test(tail) ? { kind: "archive" } : { is: "a zip archive without __main__.py" };
  const interpreter = interpreterIn(head);
  if (interpreter !== null && /^python(?:3(?:\.\d+)?)?$/.test(interpreter)) return { kind: "script" };
  if (interpreter !== null) return { is: `a script for ${interpreter.slice(0, 40)}` };
  return { is: NEITHER };
}

/** `file`: as it was typed. Null: there is neither a file of that name nor a folder that is a program. */
export async function programAt(file: string): Promise<FoundProgram | null> {
  const found = await stat(file).catch(() => null);
  if (found?.isDirectory() === true)
    return (await stat(path.join(file, MAIN)).catch(() => null))?.isFile() === true ? { kind: "folder" } : null;
  if (found?.isFile() !== true) return null;
  const named = PROGRAM_FILE.exec(file)?.[0];
  if (named !== undefined) return { kind: named === ".wasm" ? "module" : named === ".py" ? "script" : "archive" };
  const handle = await open(file);
  try {
    return kindOf(await ends(handle, found.size));
  } finally {
    await handle.close();
  }
}

/**
 * Of a file that is said to be a script or a module, which kind of either; any text may be a script. Null: there is none of that name.
 * Throws InputError where it is something else.
 */
export async function saidKind(said: { python: string } | { module: string }): Promise<ProgramKind | null> {
  const [field, file] = "python" in said ? (["python", said.python] as const) : (["module", said.module] as const);
  const found = await programAt(file);
  if (found === null) return null;
  const kind = "kind" in found ? found.kind : field === "python" && found.is === NEITHER ? "script" : null;
  if (kind !== null && (kind === "module") === (field === "module")) return kind;
  const is = "is" in found ? found.is : found.kind === "module" ? "a WebAssembly module: give it as module" : "Python's: give it as python";
  throw new InputError(`${field}: ${file} is ${is}`);
}
