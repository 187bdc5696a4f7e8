/**
 * Modules as V8 compiled them. A process keeps the last one for the customer's next job: known by the digest that the daemon names, and
 * never of a build with breakpoints, which is another module. Who controls the inputs: the customer (bytes), the daemon (digests, paths).
 */
import { prepareModule } from "@xenoservers/engine";
import { withStack } from "../python-stack.ts";
import { readWhole } from "./files.ts";
import type { WorkerJob } from "./job.ts";
import { CODE_SUFFIX, codeWith, moduleWith } from "./machine-code.ts";
import { existsSync, setFlag } from "./of-node.ts";

const WASM_PAGES_PER_MIB = 16;
/** A smaller one is validated in less time than it takes to tell V8 not to. */
const LAZY_FROM_BYTES = 8 * 1024 * 1024;

/** `codeBytes`: how much machine code it came with. */
interface Ready {
  module: WebAssembly.Module;
  codeBytes: number;
}
type Compiled = ({ ok: true } & Ready) | { ok: false; kind: "malformed" | "memory-limit"; message: string };

export const moduleOf = (bytes: Uint8Array): WebAssembly.Module => new WebAssembly.Module(bytes);

/** What V8 does now; as told at the start of a process. */
let isLazy = false;

/** Whether each function is validated when it is first called: that holds as long as the module is run. */
function validate(when: "now" | "when called"): void {
  const lazy = when === "when called";
  if (lazy !== isLazy) setFlag(lazy ? "--wasm-lazy-validation" : "--no-wasm-lazy-validation");
  isLazy = lazy;
}

/**
 * V8 has validated all of it when it was made; what nobody calls is not validated again. One that is not valid all the same fails as it is
 * called (CompileError): what hands it in so is its own customer's doing.
 */
function validatedBefore(bytes: Uint8Array): WebAssembly.Module {
  if (bytes.length >= LAZY_FROM_BYTES) validate("when called");
  return moduleOf(bytes);
}

/** One that was made ready before, with the machine code beside it where there is some. */
function readyModule(file: string, whole = readWhole): Ready {
  validate("now"); // V8 takes code under the flags alone that it was made with
  const [bytes, named] = [whole(file), `${file}${CODE_SUFFIX}`];
  const code = existsSync(named) ? whole(named) : null;
  const module = code && moduleWith(code, bytes);
  return module ? { module, codeBytes: code.length } : { module: validatedBefore(bytes), codeBytes: 0 };
}

/** Of a module that is run no more here: what was made of it by now (`entry`: see runJob), under the flags that it is read with. */
export function codeAtEnd(entry: () => void, module: WebAssembly.Module): Uint8Array {
  validate("now");
  return codeWith(entry, module);
}

/** What the engine takes and the platform refuses: too large in one of its own limits. */
function compiled(make: () => Ready): Compiled {
  try {
    return { ok: true, ...make() };
  } catch (error) {
    if (error instanceof WebAssembly.CompileError) return { ok: false, kind: "malformed", message: `with its metering ${error.message}` };
    throw error;
  }
}

export class Modules {
  readonly #seen: (file: string) => string;
  #ahead: ({ path: string } & Ready) | null = null;
  #last: ({ digest: string } & Ready) | null = null;

  /** `seen`: where a path lies as the daemon writes it. */
  constructor(seen: (file: string) => string) {
    this.#seen = seen;
  }

  /** `whole`: how its files are read. A module that V8 refuses fails its own job, not whichever comes. */
  compileAhead(path: string, whole = readWhole): void {
    try {
      this.#ahead = { path, ...readyModule(this.#seen(path), whole) };
    } catch {
      this.#ahead = null;
    }
  }

  /** `made`: the bytes that were made of the customer's, where that was not done before. */
  of(job: WorkerJob): Compiled & { made?: Uint8Array } {
    if (job.breakpoints !== null) {
      this.#last = null; // how V8 validates is told for all of a process
      return this.#made(job, true);
    }
    if (this.#last?.digest === job.module) return { ok: true, ...this.#last };
    const ahead = this.#ahead;
    this.#ahead = null;
    const built =
      ahead !== null && job.prepared && job.modulePath === ahead.path ? { ok: true as const, ...ahead } : this.#made(job, false);
    this.#last = built.ok ? { digest: job.module, module: built.module, codeBytes: built.codeBytes } : null;
    return built;
  }

  #made(
    { modulePath, prepared: isPrepared, comesWithEngine, memoryMibMax }: WorkerJob,
    breakpoints: boolean,
  ): Compiled & { made?: Uint8Array } {
    const file = this.#seen(modulePath);
    if (isPrepared) return compiled(() => readyModule(file));
    validate("now");
    const bytes = comesWithEngine ? withStack(readWhole(file)) : readWhole(file);
    const prepared = prepareModule(bytes, breakpoints, memoryMibMax * WASM_PAGES_PER_MIB);
    return prepared.ok ? { ...compiled(() => ({ module: moduleOf(prepared.bytes), codeBytes: 0 })), made: prepared.bytes } : prepared;
  }
}
