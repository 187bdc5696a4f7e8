/**
 * A job that is nobody's: a worker runs it once while it waits, all the way that jobs go but for what they hand in, so that the first one
 * finds that way read and compiled. Nothing of it is left but V8's code. Who controls the inputs: nobody.
 */
import { prepareModule } from "@xenoservers/engine";
import { HandIn, type HandedIn } from "./handing.ts";
import type { WorkerJob } from "./job.ts";
import { moduleOf, type Modules } from "./modules.ts";
import { JobRun } from "./run.ts";

/** `(module (memory (export "memory") 1) (func (export "_start")))` */
const EMPTY_MODULE = Buffer.from(
  "0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a040102000b",
  "hex",
);
const JOB: WorkerJob = {
  ...{ module: "", modulePath: "", prepared: false, comesWithEngine: false, keepPrepared: false },
  ...{ args: ["job"], env: [], inputs: [], mounts: [], preopens: [], stdin: "", seed: "00".repeat(32), clockBaseMs: 0 },
  ...{ memoryMibMax: 1, diskMibMax: 1, outputMibMax: 1, fuelMax: "1000000", runMsMax: 60_000, breakpoints: null },
};

/** Not as `Modules` has it, which tells V8 how to validate: that has to stay as it is for a module that was compiled ahead. */
function emptyModule(): ReturnType<Modules["of"]> {
  const prepared = prepareModule(EMPTY_MODULE);
  return prepared.ok ? { ok: true, module: moduleOf(prepared.bytes), codeBytes: 0 } : prepared;
}

/** The files that a worker hands in by are its jobs': nothing is written there. */
class NothingHandedIn extends HandIn {
  result = "";

  override append(file: HandedIn, bytes: Uint8Array): void {
    if (file === "result.json") this.result += Buffer.from(bytes).toString("utf8");
  }

  override progress(): void {}
}

/** Resolves to what it would have handed in as its result. `folder`: the worker's. */
export async function warmUp(folder: string): Promise<string> {
  const handing = new NothingHandedIn();
  await new JobRun(folder, { of: emptyModule }, JOB, { handing, read: () => new Uint8Array() }).handIn();
  return handing.result;
}
