/**
 * Functions of every shape that call themselves without end, and what becomes of each: one line a shape. `run-recursion.ts [traced]`: in the
 * build with breakpoints, taken down on the way into the depth. V8's flags are the caller's.
 */
import { createHash } from "node:crypto";
import wabtInit from "wabt";
import { prepareModule, runJob, seededRandom, traceJob, type Finished, type Job } from "@xenoservers/engine";

const traced = process.argv[2] === "traced";
/** Fuel between two breakpoints: each shape meets several before its limit. */
const STEP = 5_000n;
const run = (job: Job): Finished => (traced ? traceJob(job, { step: STEP, from: null, onBreakpoint: () => true })! : runJob(job));

const times = (count: number, make: (i: number) => string): string => Array.from({ length: count }, (_, i) => make(i)).join(" ");
const SHAPES: Record<string, { args?: string; results?: number; code: string }> = {
  plain: { code: "(func $f (call $f))" },
  parameters: {
    args: times(100, () => "(i64.const 1)"),
    code: `(func $f (param ${times(100, () => "i64")}) ${times(100, (i) => `(local.get ${i})`)} (call $f))`,
  },
  vectors: {
    code: `(func $f (local ${times(200, () => "v128")}) ${times(200, (i) => `(local.set ${i} (v128.load (i32.const ${i * 16})))`)} (call $f) ${times(200, (i) => `(v128.store (i32.const ${i * 16}) (local.get ${i}))`)})`,
  },
  results: { results: 60, code: `(func $f (result ${times(60, () => "i64")}) (call $f))` },
  "many results": { results: 400, code: `(func $f (result ${times(400, () => "f64")}) (call $f))` },
  floats: {
    args: times(40, () => "(f64.const 1)"),
    results: 1,
    code: `(func $f (param ${times(40, () => "f64")}) (result f64) ${times(40, (i) => `(f64.mul (local.get ${i}) (f64.const 1.1))`)} (call $f) (f64.add (local.get 3)))`,
  },
  indirect: { code: "(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (call_indirect (type $t) (i32.const 0)))" },
  "operands below": {
    code: `(func $f (result f64) ${times(40, (i) => `(f64.load (i32.const ${i * 8}))`)} (call $f) ${times(40, () => "f64.add")})`,
    results: 1,
  },
  "in a loop": {
    code: "(func $f (local i32) (loop (call $f) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 3)))))",
  },
};

const wabt = await wabtInit();
for (const [name, { args = "", results = 0, code }] of Object.entries(SHAPES)) {
  const wat = `(module ${code} (memory (export "memory") 1) (func (export "_start") ${args} (call $f) ${times(results, () => "drop")}))`;
  const prepared = prepareModule(wabt.parseWat("t.wat", wat, { simd: true, multi_value: true }).toBinary({}).buffer.slice(), traced);
  if (!prepared.ok) throw new Error(prepared.message);
  const { ending, fuel } = run({
    module: new WebAssembly.Module(prepared.bytes as Uint8Array<ArrayBuffer>) as never,
    world: { args: [], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
    mounts: [],
    stdin: new Uint8Array(),
    fuelMax: 10n ** 10n,
    memoryPagesMax: 16,
    diskBytesMax: 0,
    streamBytesMax: 0,
    sha256: (bytes) => createHash("sha256").update(bytes).digest(),
    stdout: () => {},
    stderr: () => {},
  });
  console.log(`${name}: ${JSON.stringify(ending)} ${fuel}`);
}
