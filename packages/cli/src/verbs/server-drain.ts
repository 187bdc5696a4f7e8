/** `xeno server drain`: no new leases and, with --to, those that run go on at another server of the same owner. */
import type { ServerDrainInput } from "../input/verbs/owner.ts";
import { UserError } from "../output/ui.ts";
import { sayWhatStays, serverCommand } from "./server.ts";

export async function serverDrain({ undo, to, ...given }: ServerDrainInput): Promise<void> {
  if (undo && to !== null) throw new UserError("--undo takes leases again, --to hands them over: say one of the two");
  if (to !== null) await sayWhatStays(given.data);
  await serverCommand(given, undo ? "undrain" : "drain", to === null ? {} : { to });
}
