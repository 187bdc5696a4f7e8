/** Runs one WASI module in this process and prints how long its `_start` took at best: `run-module.ts plain|metered FILE ROUNDS FOLDER ARGS…`. */
import { createHash } from "node:crypto";
import { openSync, readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { WASI } from "node:wasi";
import { fileEntry, prepareModule, runJob, seededRandom } from "@xenoservers/engine";

const [mode, file, rounds, folder, ...args] = process.argv.slice(2) as [string, string, string, string, ...string[]];
const bytes = readFileSync(file);
const name = path.basename(file);

function plain(module: WebAssembly.Module): number {
  const wasi = new WASI({
    version: "preview1",
    args: [name, ...args],
    preopens: { "/app": folder },
    stdout: openSync("/dev/null", "w"),
    returnOnExit: true,
  });
  const instance = new WebAssembly.Instance(module, wasi.getImportObject() as never);
  const start = performance.now();
  wasi.start(instance);
  return performance.now() - start;
}

let fuel = 0n;
function metered(module: WebAssembly.Module): number {
  let took = 0;
  const finished = runJob(
    {
      module: module as never,
      world: { args: [name, ...args], env: [], clockBaseNs: 0n, random: seededRandom(new Uint8Array(32)) },
      mounts: [
        {
          path: "/app",
          writable: false,
          entries: readdirSync(folder)
            .filter((each) => each.endsWith(".py"))
            .map((each) => fileEntry(each, readFileSync(path.join(folder, each)))),
        },
      ],
      stdin: new Uint8Array(),
      fuelMax: 10n ** 15n,
      memoryPagesMax: 16_384,
      diskBytesMax: 1 << 26,
      streamBytesMax: 1 << 20,
      sha256: (value) => createHash("sha256").update(value).digest(),
      stdout: () => {},
      stderr: () => {},
    },
    (start) => {
      const began = performance.now();
      try {
        start();
      } finally {
        took = performance.now() - began;
      }
      return true;
    },
  );
  if (finished.ending.kind !== "exit" || finished.ending.code !== 0)
    throw new Error(`${file} ended with ${JSON.stringify(finished.ending)}`);
  fuel = finished.fuel;
  return took;
}

let compiled: Uint8Array = bytes;
if (mode === "metered") {
  const prepared = prepareModule(bytes);
  if (!prepared.ok) throw new Error(prepared.message);
  compiled = prepared.bytes;
}
const module = new WebAssembly.Module(compiled as Uint8Array<ArrayBuffer>);
let best = Infinity;
for (let i = 0; i < Number(rounds); i++) best = Math.min(best, mode === "metered" ? metered(module) : plain(module));
console.log(JSON.stringify({ ms: best, fuel: fuel.toString(), bytes: bytes.length, rewritten: compiled.length }));
