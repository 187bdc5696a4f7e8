/** Modules from text, with every feature that the engine runs. */
import wabtInit from "wabt";

const wabt = await wabtInit();
const FEATURES = { multi_value: true, simd: true, reference_types: true, tail_call: true, exceptions: true, exnref: true };
export const assembled = (text: string): Uint8Array => wabt.parseWat("t.wat", text, FEATURES).toBinary({}).buffer;
