/** What the rewriter adds to a module besides code: names, globals, the numbers that the host reads. */
import { I32, I64 } from "./opcodes.ts";

export const ADDED_MODULE = "xeno";
/**
 * A custom section that the rewriter adds: the pages that the memory begins with and may grow to, so that they are known before it is
 * made.
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
  global: "xeno.g",
} as const;

/** Types of fuel, stack, pages, refused. */
export const ADDED_GLOBALS = [I64, I32, I32, I32] as const;
/** Of any memory, where neither its module nor the job says less. */
export const PAGES_MAX = 65_536;
