/** What can be said of a module without reading its code: quick, so that a customer's client asks before the order. */
import { parseModule } from "./rewrite/module.ts";
import { SNAPSHOT0_MODULE } from "./wasi/layouts.ts";

export { programIn } from "./component.ts";
export { faultOf } from "./rewrite/fault.ts";
export { isComponent } from "./rewrite/kinds.ts";

/** Whether it speaks WASI's snapshot 0, of 2019. Of a module without a fault. */
export const speaksSnapshot0 = (bytes: Uint8Array): boolean =>
  parseModule(bytes).imports.some(({ text }) => text.startsWith(`${SNAPSHOT0_MODULE}.`));
