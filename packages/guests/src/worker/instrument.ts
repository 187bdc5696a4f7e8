/**
 * Instruments a module with breakpoints so that its call stack can be unwound and wound up again: Binaryen's Asyncify, with a memory of
 * its own for the stack. Deterministic: the same bytes give the same bytes with the same version, which stands in every trace.
 */
import binaryen from "binaryen";
import { STACK_MEMORY, STACK_MEMORY_PAGES } from "@xenoservers/engine";

/** Binaryen's name for the memory that the pass adds. */
const ADDED_MEMORY = "asyncify_memory";
const { Features } = binaryen;
const FEATURES =
  Features.MutableGlobals |
  Features.NontrappingFPToInt |
  Features.SIMD128 |
  Features.BulkMemory |
  Features.BulkMemoryOpt |
  Features.SignExt |
  Features.ReferenceTypes |
  Features.Multivalue |
  Features.MultiMemory |
  Features.TailCall |
  Features.ExtendedConst;

/** Null where Binaryen cannot do it (reference-typed values across a call, tail calls, a module that it cannot read). */
export function instrument(bytes: Uint8Array): Uint8Array | null {
  try {
    const module = binaryen.readBinary(bytes);
    module.setFeatures(FEATURES);
    binaryen.setOptimizeLevel(1);
    binaryen.setShrinkLevel(0);
    binaryen.setPassArgument("asyncify-imports", "xeno.breakpoint");
    binaryen.setPassArgument("asyncify-in-secondary-memory", "true");
    binaryen.setPassArgument("asyncify-secondary-memory-size", String(STACK_MEMORY_PAGES));
    module.runPasses(["asyncify"]);
    module.addMemoryExport(ADDED_MEMORY, STACK_MEMORY);
    const instrumented = module.emitBinary();
    module.dispose();
    return instrumented;
  } catch {
    return null;
  }
}
