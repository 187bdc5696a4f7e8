/** `xeno key backup`: every key of this machine's contexts in one file. */
import { readFile } from "node:fs/promises";
import { home, writePrivate } from "../input/home.ts";
import type { KeyBackupInput } from "../input/verbs/key.ts";
import { print } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

export async function keyBackup({ file }: KeyBackupInput): Promise<void> {
  const contexts = await readFile(home.contexts, "utf8").catch(() => {
    throw new UserError("there are no keys here yet: run `xeno login URL` first");
  });
  await writePrivate(file, contexts);
  print(`${file} holds all keys of this machine's contexts; whoever reads it is you`);
}
