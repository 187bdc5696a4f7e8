/** Runs a WASI module plain and one segment of it alone, and prints how long each took at best: `segment.ts FILE SEGMENTS ROUNDS`. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { prepareModule, runJob, seededRandom, traceJob, type Job, type State } from "@xenoservers/engine";

const [file, segments, rounds] = process.argv.slice(2) as [string, string, string];
const bytes = readFileSync(file);
const moduleOf = (binary: Uint8Array): WebAssembly.Module => new WebAssembly.Module(binary as Uint8Array<ArrayBuffer>);
const job = (module: WebAssembly.Module): Job => ({
  module: module as never,
  world: { args: ["job"], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
  mounts: [],
  stdin: new Uint8Array(),
  fuelMax: 10n ** 15n,
  memoryPagesMax: 16_384,
  diskBytesMax: 1 << 26,
  streamBytesMax: 1 << 20,
  sha256: (value) => createHash("sha256").update(value).digest(),
  stdout: () => {},
  stderr: () => {},
});
function best<T>(work: () => T): { ms: number; value: T } {
  let [ms, value] = [Infinity, null as T];
  for (let i = 0; i < Number(rounds); i++) {
    const start = performance.now();
    value = work();
    ms = Math.min(ms, performance.now() - start);
  }
  return { ms, value };
}

const fast = prepareModule(bytes);
const build = best(() => prepareModule(bytes, true));
if (!fast.ok || !build.value.ok) throw new Error("the module is refused");
const [plain, traced] = [moduleOf(fast.bytes), moduleOf(build.value.bytes)];
const whole = best(() => runJob(job(plain)));
const step = whole.value.fuel / BigInt(segments) + 1n;
const pieces = new Map<string, Uint8Array>();
const states: State[] = [];
const trace = best(() =>
  traceJob(job(traced), {
    step,
    from: null,
    onBreakpoint(_, state) {
      states.push(state);
      for (const [digest, piece] of state.pieces) pieces.set(digest, piece);
      return true;
    },
  }),
);
const { manifest } = states[Math.floor(Number(segments) / 2)]!;
const one = best(() =>
  traceJob(job(traced), { step, from: { manifest, piece: (digest) => pieces.get(digest)! }, onBreakpoint: () => false }),
);
console.log(
  JSON.stringify({ wholeMs: whole.ms, traceMs: trace.ms, segmentMs: one.ms, buildMs: build.ms, fuel: whole.value.fuel.toString() }),
);
