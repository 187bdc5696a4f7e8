/**
 * Stands in for the worker where its guest has broken out of the engine: it holds itself as the worker does, then runs whatever script lies
 * in its folder. The script gets `call`, any call of the kernel by its number, and the descriptors of what a worker hands in.
 */
import fs, { existsSync, readFileSync, writeSync } from "node:fs";
import { HANDED_IN, descriptorOf } from "../../packages/guests/src/worker/handing.ts";
import { HOLD, hold } from "../../packages/guests/src/worker/hold.ts";
import { KOFFI } from "../../packages/guests/src/worker/koffi.ts";

const [, , folder = "/w", how] = process.argv;
await new Promise(setImmediate);
const held = how === HOLD ? hold() : null;
held?.limit({ fileBytesMax: 1024 * 1024, dataBytesMax: 1536 * 1024 * 1024 });
if (existsSync(`${folder}/script.js`)) {
  const addon: { exports: { load?(library: null): { func(prototype: string): (...args: number[]) => number } } } = { exports: {} };
  process.dlopen(addon, `${import.meta.dirname}/${KOFFI}`);
  const syscall = addon.exports.load?.(null).func("long syscall(long, long, long, long, long, long, long)");
  const call = (...args: number[]): number | undefined => syscall?.(...args, ...Array<number>(7 - args.length).fill(0));
  const script = new Function("call", "fs", "handedIn", readFileSync(`${folder}/script.js`, "utf8"));
  try {
    writeSync(1, String(script(call, fs, HANDED_IN.map(descriptorOf))));
  } catch (error) {
    writeSync(1, `the script failed: ${String(error)}`); // not by Node's own way down, which ends by a signal, too
  }
}
held?.exit(0);
