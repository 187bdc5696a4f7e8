/** What is wrong with a module that can be seen without reading its code: quick, so that a customer's client asks before the order. */
import { Refusal } from "./rewrite/binary.ts";
import { checkInterface } from "./rewrite/interface.ts";
import { otherKindOf } from "./rewrite/kinds.ts";
import { parseModule } from "./rewrite/module.ts";
import { SNAPSHOT0_MODULE } from "./wasi/layouts.ts";

/** Null where nothing is; what its code holds, the server's engine still says. Pure; no error is thrown. */
export function faultOf(bytes: Uint8Array): string | null {
  const kind = otherKindOf(bytes);
  if (kind !== null) return kind;
  try {
    checkInterface(parseModule(bytes));
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Whether it speaks WASI's snapshot 0, of 2019. Of a module without a fault. */
export const speaksSnapshot0 = (bytes: Uint8Array): boolean =>
  parseModule(bytes).imports.some(({ text }) => text.startsWith(`${SNAPSHOT0_MODULE}.`));
