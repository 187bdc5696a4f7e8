/**
 * A module is looked at before it is sent, as far as this side can: whoever has the engine's own check hands it in. Who controls the
 * bytes: whoever runs this.
 */
import { JOB_LIMITS } from "@xenoservers/protocol";
import { InputError } from "./errors.ts";
import { bytesBlob, type Blob } from "./blob.ts";

/** What the engine says of a module without running it. */
export interface ModuleCheck {
  isComponent(bytes: Uint8Array): boolean;
  /** The module of WASI preview 1 that a component holds. */
  programIn(component: Uint8Array): { ok: true; module: Uint8Array } | { ok: false; why: string };
  /** What its engine refuses it for; null: nothing. */
  faultOf(bytes: Uint8Array): string | null;
  /** Whether its engine has taken a module of this digest before: it is not read then. */
  hasTaken?(digest: string): Promise<boolean>;
}

/** The layer's number of a component (byte 6), where a module has 0. */
const COMPONENT = [0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00] as const;

/** The part of it that is used here; no library that is loaded declares it. */
interface V8 {
  validate(bytes: Uint8Array): boolean;
}
const v8: V8 = Reflect.get(globalThis, "WebAssembly");

/** With what every JavaScript has: that V8 takes a module does not say that the market's engine does, whose server says so then. */
export const plainCheck: ModuleCheck = {
  isComponent: (bytes) => COMPONENT.every((byte, i) => bytes[i] === byte),
  programIn: () => ({ ok: false, why: "it is a component: name the module of WASI preview 1 that it holds, or use the `xeno` command" }),
  faultOf: (bytes) => (v8.validate(bytes) ? null : "it is no valid WebAssembly module"),
};

interface CheckedModule {
  module: Blob;
  /** It was taken out of a component. */
  isUnwrapped: boolean;
}

/** The file itself, or what it holds where it is a component. What its engine would refuse is refused before anything is signed. */
export async function moduleIn({ name, blob }: { name: string; blob: Blob }, check: ModuleCheck): Promise<CheckedModule> {
  // what is larger is refused with what was ordered
  if (blob.size > JOB_LIMITS.moduleBytes || (await check.hasTaken?.(blob.digest))) return { module: blob, isUnwrapped: false };
  const bytes = await blob.read(0, blob.size);
  const isUnwrapped = check.isComponent(bytes);
  const found = isUnwrapped ? check.programIn(bytes) : { ok: true as const, module: bytes };
  const fault = found.ok ? check.faultOf(found.module) : found.why;
  if (!found.ok || fault !== null) throw new InputError(`${name} cannot run: ${fault}`);
  return { module: isUnwrapped ? bytesBlob(found.module) : blob, isUnwrapped };
}
