/** `xeno key backup`: every key of this machine's contexts in one file. */
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { home } from "@xenoservers/sdk";
import type { KeyBackupInput } from "../input/verbs/key.ts";
import { print } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

export async function keyBackup({ file }: KeyBackupInput): Promise<void> {
  const contexts = await readIfThere(home.contexts);
  if (contexts === null) throw new UserError("there are no keys here yet: run `xeno login URL` first");
  await writeWhole(file, contexts);
  print(`${file} holds all keys of this machine's contexts; whoever reads it is you`);
}
