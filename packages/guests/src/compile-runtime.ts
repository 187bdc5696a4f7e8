/**
 * Run by itself, under the flags of a guest's Node, with Python as the engine runs it and a file to write as its arguments: the machine
 * code of what a script usually calls of it. Each function that the practice calls is compiled once, by the optimizing compiler. A process
 * of its own, because how V8 compiles is told to all of it.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { fileEntry, runJob, seededRandom } from "@xenoservers/engine";
import { PRACTICE } from "./practice.ts";
import { codeOf } from "./worker/machine-code.ts";

/** Of small functions alone a copy goes into those that call them: nothing has been counted yet that would say which are worth it. */
const COMPILE = ["--no-liftoff", "--wasm-inlining-factor=3"] as const;
/** As it was started: V8 takes code under the flags alone that it was made with. */
const BEFORE = ["--liftoff", ...process.execArgv.filter((flag) => flag.startsWith("--wasm-"))];
const MIB = 1024 * 1024;

const [, , file = "", to = ""] = process.argv;
let said = "";
const say = (bytes: Uint8Array): void => void (said += Buffer.from(bytes).toString("utf8"));
for (const flag of COMPILE) setFlagsFromString(flag);
const module = new WebAssembly.Module(readFileSync(file));
const { ending } = runJob({
  module,
  comesWithEngine: true,
  world: { args: ["python", "/app/main.py"], env: [], clockBaseNs: 1_735_689_600_000_000_000n, random: seededRandom(new Uint8Array(32)) },
  mounts: [
    { path: "/app", writable: false, entries: [fileEntry("main.py", Buffer.from(PRACTICE))] },
    { path: "/work", writable: true, entries: [] },
  ],
  preopens: [
    { name: "/app", path: "/app" },
    { name: "/", path: "/work" },
  ],
  stdin: Buffer.from("a line\n"),
  fuelMax: 1n << 40n,
  memoryPagesMax: 8_192,
  diskBytesMax: 16 * MIB,
  streamBytesMax: MIB,
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  stdout: say,
  stderr: say,
});
for (const flag of BEFORE) setFlagsFromString(flag);
if (ending.kind !== "exit" || ending.code !== 0) throw new Error(`the practice failed (${ending.kind}): ${said.trim().split("\n").at(-1)}`);
writeFileSync(to, codeOf(module), { mode: 0o600 });
