/** What can be said of a module without making anything of it: quick, so that a customer's client asks before the order. */
import { faultOf as wholeFaultOf, interfaceFaultOf } from "./rewrite/fault.ts";
export { programIn } from "./component.ts";
export { isComponent } from "./rewrite/kinds.ts";

/** Of a larger one reading the code would be seen in each of its runs; its server reads it once. */
const CODE_READ_BYTES_MAX = 8 * 1024 * 1024;

/** Null where nothing is wrong that is seen from here. Pure; no error is thrown. */
export const faultOf = (bytes: Uint8Array): string | null =>
  bytes.length > CODE_READ_BYTES_MAX ? interfaceFaultOf(bytes) : wholeFaultOf(bytes);
