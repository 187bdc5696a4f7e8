/** What the rewriter adds to a module besides code: names, globals, the numbers that the host reads. */
import { I32, I64 } from "./opcodes.ts";

export const ADDED_MODULE = "xeno";
/**
 * A custom section that the rewriter adds: the pages that the memory begins with and may grow to, so that they are known before it is
 * made; which functions are the module's own, for backtraces; and how many bytes it was made from, for its price.
 */
export const NOTES = "xeno.notes";
export const ADDED = {
  fail: "fail",
  fuel: "xeno.fuel",
  stack: "xeno.stack",
  pages: "xeno.pages",
  refused: "xeno.refused",
  start: "xeno.start",
  breakpoint: "breakpoint",
  next: "xeno.next",
  state: "xeno.state",
  top: "xeno.top",
  unwound: "xeno.unwound",
  global: "xeno.g",
} as const;

/** Types of fuel, stack, pages, refused. */
export const ADDED_GLOBALS = [I64, I32, I32, I32] as const;
/** Behind those in a build with breakpoints: below what counter the next is due, the state, the end of the stack of frames. */
export const BREAKPOINT_GLOBALS = [I64, I32, I32] as const;
/** Of a module with exceptions: one more than the stack that was left where the guest threw the one that is on its way (exceptions.ts). */
export const THROWN_GLOBAL = I32;
/** What the state says of the call stack; no other value is written. */
export const STATE = { running: 0, takingDown: 1, windingUp: 2 } as const;
/** The counter while the call stack is wound up again: below zero whatever functions take off it on the way. */
export const WINDING_UP_FUEL = -(2n ** 62n);
/** Of the memory for frames: many times what the engine's own limit on the stack allows a guest. */
export const UNWOUND_PAGES = 1024;
/** Of any memory, where neither its module nor the job says less. */
export const PAGES_MAX = 65_536;
