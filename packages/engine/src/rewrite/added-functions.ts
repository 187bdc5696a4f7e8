/** The functions that the rewriter adds: between the guest and the host both ways, and the memory's growth within the job's limit. */
import type { Writer } from "./binary.ts";
import { PAGES_MAX } from "./added.ts";
import type { Additions } from "./emitter.ts";
import { aroundEntry, type FloatGlobal } from "./frames.ts";
import type { Limits } from "./module.ts";
import { I32 } from "./opcodes.ts";

/** Fuel for a page of fresh memory, as a power of two. */
const FUEL_PER_PAGE_LOG2 = 10;

/**
 * Stands for an imported function: the host finds the counter in its global, and takes its price off there. A guest without fuel does not
 * call out, so that a run up to the fuel of any call has handed out what had been by then, and no more.
 */
export function writeCallOut(w: Writer, index: number, params: number, { fuelGlobal }: Additions): void {
  w.byte(0);
  w.byte(0x20);
  w.u32(params);
  w.byte(0x24);
  w.u32(fuelGlobal);
  w.byte(0x20);
  w.u32(params);
  for (const byte of [0x42, 0x00, 0x53, 0x04, 0x40, 0x00, 0x0b]) w.byte(byte); // below zero: unreachable
  for (let i = 0; i < params; i++) {
    w.byte(0x20);
    w.u32(i);
  }
  w.byte(0x10);
  w.u32(index);
  w.byte(0x23);
  w.u32(fuelGlobal);
  w.byte(0x0b);
}

/** What the host calls: fuel and stack from their globals, and what is left of the fuel back. `floats`: the globals that hold any. */
export function writeCallIn(w: Writer, index: number, additions: Additions, floats: readonly FloatGlobal[]): void {
  const { fuelGlobal, stackGlobal, functionIndex } = additions;
  w.byte(0);
  aroundEntry(w, additions, floats, () => {
    w.byte(0x23);
    w.u32(fuelGlobal);
    w.byte(0x23);
    w.u32(stackGlobal);
    w.byte(0x10);
    w.u32(functionIndex(index));
    w.byte(0x24);
    w.u32(fuelGlobal);
  });
  w.byte(0x0b);
}

/**
 * (delta) → old size or -1. Fails by the job's limit and the module's own maximum alone; a host that cannot give what both allow ends the
 * job as the host's failure.
 */
export function writeGrow(w: Writer, memory: Limits | null, { fuelGlobal, stackGlobal }: Additions, fail: number): void {
  const pagesGlobal = stackGlobal + 1;
  const put = (...bytes: number[]): void => {
    for (const byte of bytes) w.byte(byte);
  };
  const constant = (value: number): void => {
    w.byte(0x41);
    w.signed(value);
  };
  if (!memory) return put(0x00, 0x41, 0x7f, 0x0b);
  const maximum = Math.min(memory.maximum ?? PAGES_MAX, PAGES_MAX);
  put(0x01, 0x01, I32); // local 1: the limit, then the answer
  put(0x23);
  w.u32(pagesGlobal);
  constant(maximum);
  put(0x23);
  w.u32(pagesGlobal);
  constant(maximum);
  put(0x49, 0x1b, 0x21, 0x01); // i32.lt_u, select, local.set 1
  put(0x20, 0x00, 0x20, 0x01, 0x3f, 0x00, 0x6b, 0x4b, 0x04, 0x40); // delta > limit - size
  put(0x20, 0x01);
  constant(maximum);
  put(0x49, 0x04, 0x40, 0x41, 0x01, 0x24); // the job's limit, not the module's own: refused = 1
  w.u32(pagesGlobal + 1);
  put(0x0b, 0x41, 0x7f, 0x0f, 0x0b); // return -1
  put(0x23);
  w.u32(fuelGlobal);
  put(0x20, 0x00, 0xad, 0x42, FUEL_PER_PAGE_LOG2, 0x86, 0x7d, 0x24); // fuel -= delta << k
  w.u32(fuelGlobal);
  put(0x20, 0x00, 0x40, 0x00, 0x22, 0x01, 0x41, 0x7f, 0x46, 0x04, 0x40); // memory.grow = -1
  w.byte(0x10);
  w.u32(fail);
  put(0x0b, 0x20, 0x01, 0x0b);
}
