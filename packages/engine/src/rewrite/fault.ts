/** What is wrong with a module, before anything is made of it. Who made it: the customer; the platform may refuse it, too. */
import { Reader, Refusal } from "./binary.ts";
import { checkInterface } from "./interface.ts";
import { otherKindOf } from "./kinds.ts";
import { parseModule, valueType, type ParsedModule } from "./module.ts";
import { skipOne } from "./skip.ts";

/** Throws Refusal at the first instruction that no module may hold; what it is given is not looked at. */
function checkCode({ bytes, bodies }: ParsedModule): void {
  for (const { start, end } of bodies) {
    const reader = new Reader(bytes, start, end);
    for (let left = reader.u32(); left > 0; left--) {
      reader.skipLeb();
      valueType(reader);
    }
    while (!reader.done) {
      const at = reader.at;
      skipOne(reader, reader.byte(), at);
    }
  }
}

function faultIn(bytes: Uint8Array, look: (module: ParsedModule) => void): string | null {
  const kind = otherKindOf(bytes);
  if (kind !== null) return kind;
  try {
    const module = parseModule(bytes);
    checkInterface(module);
    look(module);
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error.message;
    throw error;
  }
}

/** Of what it imports and exports; null where nothing is. Pure; no error is thrown. */
export const interfaceFaultOf = (bytes: Uint8Array): string | null => faultIn(bytes, () => {});

/** Of its instructions, too; null where nothing is, and what operands they have the platform still says. Pure; no error is thrown. */
export const faultOf = (bytes: Uint8Array): string | null => faultIn(bytes, checkCode);
