/**
 * Modules as V8 compiled them. A process keeps the last one for the customer's next job: known by the digest that the daemon names, and
 * never of a build with breakpoints, which is another module. Who controls the inputs: the customer (bytes), the daemon (digests, paths).
 */
import { existsSync } from "node:fs";
import { prepareModule } from "@xenoservers/engine";
import { withStack } from "../python-stack.ts";
import { readWhole } from "./files.ts";
import type { WorkerJob } from "./job.ts";
import { CODE_SUFFIX, moduleWith } from "./machine-code.ts";

const WASM_PAGES_PER_MIB = 16;

type Compiled = { ok: true; module: WebAssembly.Module } | { ok: false; kind: "malformed" | "memory-limit"; message: string };

export const moduleOf = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes);

/** One that was made ready before, with the machine code beside it where there is some. */
function readyModule(file: string): WebAssembly.Module {
  const [bytes, code] = [readWhole(file), `${file}${CODE_SUFFIX}`];
  return (existsSync(code) ? moduleWith(readWhole(code), bytes) : null) ?? moduleOf(bytes);
}

/** What the engine takes and the platform refuses: too large in one of its own limits. */
function compiled(make: () => WebAssembly.Module): Compiled {
  try {
    return { ok: true, module: make() };
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return { ok: false, kind: "malformed", message: `with its metering ${error.message}` };
    throw error;
  }
}

export class Modules {
  readonly #seen: (file: string) => string;
  #ahead: { path: string; module: WebAssembly.Module } | null = null;
  #last: { digest: string; module: WebAssembly.Module } | null = null;

  /** `seen`: where a path lies as the daemon writes it. */
  constructor(seen: (file: string) => string) {
    this.#seen = seen;
  }

  /** A module that V8 refuses fails its own job, not whichever comes. */
  compileAhead(path: string): void {
    try {
      this.#ahead = { path, module: readyModule(this.#seen(path)) };
    } catch {
      this.#ahead = null;
    }
  }

  /** `made`: the bytes that were made of the customer's, where that was not done before. */
  of(job: WorkerJob): Compiled & { made?: Uint8Array } {
    if (job.breakpoints !== null) return this.#made(job, true);
    if (this.#last?.digest === job.module) return { ok: true, module: this.#last.module };
    const ahead = this.#ahead;
    this.#ahead = null;
    const built =
      ahead !== null && job.prepared && job.modulePath === ahead.path ? { ok: true as const, ...ahead } : this.#made(job, false);
    this.#last = built.ok ? { digest: job.module, module: built.module } : null;
    return built;
  }

  #made(
    { modulePath, prepared: isPrepared, comesWithEngine, memoryMibMax }: WorkerJob,
    breakpoints: boolean,
  ): Compiled & { made?: Uint8Array } {
    const file = this.#seen(modulePath);
    if (isPrepared) return compiled(() => readyModule(file));
    const bytes = comesWithEngine ? withStack(readWhole(file)) : readWhole(file);
    const prepared = prepareModule(bytes, breakpoints, memoryMibMax * WASM_PAGES_PER_MIB);
    return prepared.ok ? { ...compiled(() => moduleOf(prepared.bytes)), made: prepared.bytes } : prepared;
  }
}
