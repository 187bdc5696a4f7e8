/** What is wrong with a module that can be seen without reading its code. Who made it: the customer. */
import { Refusal } from "./binary.ts";
import { checkInterface } from "./interface.ts";
import { otherKindOf } from "./kinds.ts";
import { parseModule } from "./module.ts";

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
