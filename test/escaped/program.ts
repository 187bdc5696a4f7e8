/**
 * Stands in for the worker where its guest has broken out of the engine: it holds itself as the worker does, then runs whatever script lies
 * in its folder. The script gets `call`, any call of the kernel by its number.
 */
import fs, { existsSync, readFileSync, writeSync } from "node:fs";
import { HOLD, KOFFI, hold } from "../../packages/guests/src/worker/hold.ts";

const [, , folder = "/w", how] = process.argv;
await new Promise(setImmediate);
const held = how === HOLD ? hold() : null;
held?.limit({ fileBytesMax: 1024 * 1024, dataBytesMax: 1536 * 1024 * 1024, memoryBytesMax: 0 });
if (existsSync(`${folder}/script.js`)) {
  const addon: { exports: { load?(library: null): { func(prototype: string): (...args: unknown[]) => number } } } = { exports: {} };
  process.dlopen(addon, `${import.meta.dirname}/${KOFFI}`);
  const call = addon.exports.load?.(null).func("long syscall(long, long, long, long, long, long)");
  const script = new Function("call", "fs", readFileSync(`${folder}/script.js`, "utf8"));
  writeSync(1, String(script(call, fs)));
}
held?.exit(0);
