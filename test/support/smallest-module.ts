/** A command that does nothing: `(module (memory (export "memory") 1) (func (export "_start")))`. */
const HEX = "0061736d0100000001040160000003020100050301000107130206 6d656d6f7279 0200 06 5f7374617274 0000 0a040102000b";
export const SMALLEST_MODULE: Uint8Array = Uint8Array.from(Buffer.from(HEX.replaceAll(" ", ""), "hex"));
