/**
 * Runs one WASI command module: bytes in, bytes out. The same job gives the same output, fuel and memory hash on every run and machine.
 * How the guest is called is handed in (`invoke`), so that a host can interrupt it.
 */
import { Machine, type Finished, type Job } from "./machine.ts";
import { NeedsMoreMemory } from "./ordered-memory.ts";
import { ADDED, PAGES_MAX } from "./rewrite/added.ts";
import { Refusal } from "./rewrite/binary.ts";
import { faultOf } from "./rewrite/fault.ts";
import { otherKindOf } from "./rewrite/kinds.ts";
import { rewriteModule } from "./rewrite/rewrite.ts";

type Prepared = { ok: true; bytes: Uint8Array } | { ok: false; kind: "malformed" | "memory-limit"; message: string };
const malformed = (message: string): Prepared => ({ ok: false, kind: "malformed", message });

/**
 * Makes a customer's module into one that `runJob` runs (with `breakpoints`: that, instrumented, `traceJob` runs), or says what is wrong
 * with it: before its code is read where it asks for more memory than was ordered. Pure: the same bytes give the same bytes.
 */
export function prepareModule(bytes: Uint8Array, breakpoints = false, memoryPagesMax = PAGES_MAX): Prepared {
  const kind = otherKindOf(bytes);
  if (kind !== null) return malformed(kind);
  if (!WebAssembly.validate(bytes)) return malformed(faultOf(bytes) ?? `it is not valid WebAssembly${whyInvalid(bytes)}`);
  try {
    return { ok: true, bytes: rewriteModule(bytes, breakpoints, memoryPagesMax) };
  } catch (error) {
    if (error instanceof Refusal) return malformed(error.message);
    if (error instanceof NeedsMoreMemory) return { ok: false, kind: "memory-limit", message: error.message };
    throw error;
  }
}

function whyInvalid(bytes: Uint8Array): string {
  try {
    new WebAssembly.Module(bytes);
    return "";
  } catch (error) {
    return `: ${(error as Error).message.replace(/^WebAssembly\.Module\(\): /, "")}`;
  }
}

/**
 * Runs the job to its end. `invoke` calls `start` and says whether it came to its end (false: the host interrupted it); `entry` is the
 * small function of the module itself by which the engine calls in. Throws
 * HostFailure, or the host's own errors.
 */
export function runJob(job: Job, invoke: (start: () => void, entry: () => void) => boolean = (start) => (start(), true)): Finished {
  const machine = new Machine(job);
  const unfit = machine.mount();
  if (unfit) return machine.finished(unfit);
  try {
    const refused = machine.instantiate();
    if (refused) return machine.finished(refused);
    const { [ADDED.start]: before, _start: main } = machine.added!;
    const complete = invoke(() => {
      before?.();
      main();
    }, main);
    return machine.finished(complete ? { kind: "exit", code: 0 } : { kind: "stopped" });
  } catch (error) {
    return machine.ended(error);
  }
}
