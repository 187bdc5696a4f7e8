/**
 * Runs generated modules and prints what they came to, one line each: `run-generated.ts FIRST COUNT [plain | traced | exceptions]`. V8's
 * flags are the caller's. `plain` runs the modules as they were before the engine rewrote them, those that end soon; `traced` prints the roots
 * of their states too; `exceptions` runs modules that throw, in both encodings.
 */
import { createHash } from "node:crypto";
import { memoryHash } from "../../packages/engine/src/memory-hash.ts";
import { prepareModule, runJob, seededRandom, traceJob, type Finished, type Job, type State } from "@xenoservers/engine";
import { generateControl } from "./generate-control.ts";
import { generateModule } from "./generate.ts";
import { assembled } from "./assembled.ts";

const [first, count] = process.argv.slice(2).map(Number) as [number, number];
const [plain, traced, exceptions] = ["plain", "traced", "exceptions"].map((mode) => process.argv[4] === mode);
const TRACE_STEP = 300_001n;
const SOON_FUEL = 200_000n;
const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const short = (hash: Uint8Array): string => Buffer.from(hash).toString("hex").slice(0, 32);

function metered(bytes: Uint8Array, roots: string[]): Finished {
  const job: Job = {
    module: new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>) as never,
    world: { args: [], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
    mounts: [],
    stdin: new Uint8Array(),
    fuelMax: 3_000_000n,
    memoryPagesMax: 16,
    diskBytesMax: 0,
    streamBytesMax: 0,
    sha256,
    stdout: () => {},
    stderr: () => {},
  };
  const onBreakpoint = (_: bigint, { root }: State): boolean => roots.push(root) > 0;
  return traced ? traceJob(job, { step: TRACE_STEP, from: null, onBreakpoint })! : runJob(job);
}

function unmetered(bytes: Uint8Array): string {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes as Uint8Array<ArrayBuffer>), {});
  let ending = "exit";
  try {
    (exports["_start"] as () => void)();
  } catch (error) {
    ending = (error as Error).message;
  }
  return `${ending} ${short(memoryHash(new Uint8Array((exports["memory"] as WebAssembly.Memory).buffer), sha256))}`;
}

for (let seed = first; seed < first + count; seed++) {
  const bytes = exceptions
    ? assembled(generateControl(seed, { encoding: seed % 2 === 0 ? "try" : "try_table", exact: false }))
    : generateModule(seed, traced);
  const prepared = prepareModule(bytes, traced);
  if (!prepared.ok) {
    console.log(`${seed} refused ${prepared.message}`);
    continue;
  }
  const roots: string[] = [];
  const { ending, fuel, memoryHash: hash } = metered(prepared.bytes, roots);
  // of calls that it compiled into their callers, a platform's own trace leaves some out where those have handlers
  const shown = exceptions ? JSON.stringify(ending).replace(/ in [^"]*/, "") : JSON.stringify(ending);
  if (!plain) console.log([seed, shown, fuel, short(hash!), ...roots].join(" "));
  else if (ending.kind === "exit" && fuel < SOON_FUEL) console.log(`${seed} ${unmetered(bytes)}`);
}
