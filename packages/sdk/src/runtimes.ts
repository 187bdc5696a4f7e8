/**
 * Interpreters that every xenoserver has; a customer names them by digest and need not hold their bytes. `guests` tests that they agree.
 */
import type { Blob } from "./blob.ts";

export const PYTHON = {
  name: "CPython 3.12 on WASI",
  digest: "e5dc5a398b07b54ea8fdb503bf68fb583d533f10ec3f930963e02b9505f7a763",
  size: 26267204,
  /** What it has before it runs anything, with the stack that the engine gives it (guests/src/python-stack.ts). */
  memoryMib: 18,
  lacks: "no sockets, threads or subprocesses, and no packages beyond its standard library and what you bring in with --dir",
} as const;

/** What it runs: a script, or several modules in one archive (`python3 -m zipapp`). */
export const PYTHON_FILE: RegExp = /\.pyz?$/;
/** What runs here under its own name; all else is an image's. */
export const PROGRAM_FILE: RegExp = /\.(?:wasm|pyz?)$/;

/** An archive of Python's (`python3 -m zipapp`) and a folder are run as Python runs them: by their `__main__.py`. */
export type ProgramKind = "module" | "script" | "archive" | "folder";

/** What has to be sent and made ready of a module: nothing of a runtime. */
export const moduleSizeOf = ({ digest, size }: Pick<Blob, "digest" | "size">): number => (digest === PYTHON.digest ? 0 : size);

export function runtimeBlob({ digest, size, name }: typeof PYTHON): Blob {
  return {
    digest,
    size,
    read: () => Promise.reject(new Error(`the server does not have the pinned ${name}, and it is not sent from here`)),
  };
}
