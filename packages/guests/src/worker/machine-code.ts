/**
 * Machine code that V8 made of a module, to go from one process into another, which compiles nothing of it then. V8 refuses what another
 * of its versions, other flags or another kind of processor made; that it is of this very module, the caller knows. Node has no name for
 * it: V8's own functions are named in a syntax of their own, which is allowed while these two are read and never after. Who controls the
 * inputs: whoever made the root that guests run in.
 */
import { Script, setFlag } from "./of-node.ts";

/** What stands behind a module's path where its code lies beside it. */
export const CODE_SUFFIX = ".code";

/** Throws SyntaxError where this V8 has no such function. */
function own<Function>(text: string): Function {
  setFlag("--allow-natives-syntax");
  try {
    return new Script(`(${text})`).runInThisContext() as Function;
  } finally {
    // as before: V8 takes code, Node's own too, under the flags alone that it was made with
    setFlag("--no-allow-natives-syntax");
  }
}

/** Of the functions that the optimizing compiler has made by now. Where there is none V8 ends the process. */
export const codeOf = (module: WebAssembly.Module): Uint8Array =>
  new Uint8Array(own<(module: WebAssembly.Module) => ArrayBuffer>("function (module) { return %SerializeWasmModule(module) }")(module));

/** The same of one that may have none, which has that of `entry` then, a small exported function of it. */
export function codeWith(entry: () => void, module: WebAssembly.Module): Uint8Array {
  own<(entry: () => void) => void>("function (entry) { %WasmTierUpFunction(entry) }")(entry);
  return codeOf(module);
}

type Read = (code: ArrayBufferLike, bytes: Uint8Array) => WebAssembly.Module | undefined;

/** Null where V8 refuses it. `bytes`: of the module that the code was made of. */
export function moduleWith(code: Uint8Array, bytes: Uint8Array): WebAssembly.Module | null {
  try {
    const read = own<Read>("function (code, bytes) { return %DeserializeWasmModule(code, bytes) }");
    return read(code.buffer, bytes) ?? null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
