/** `xeno key backup` and `restore`: every key of this machine's contexts in one file, and back. */
import { backupKeys, home, readContexts, restoreKeys, shellWord } from "@xenoservers/sdk";
import type { KeyBackupInput, KeyRestoreInput } from "../input/verbs/key.ts";
import { noteContexts } from "../output/completion-words.ts";
import { print, printJson } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

export async function keyBackup({ file }: KeyBackupInput): Promise<void> {
  await backupKeys(file);
  print(`${file} holds all keys of this machine's contexts; whoever reads it is you`);
}

export async function keyRestore({ file, json }: KeyRestoreInput): Promise<void> {
  const { restored, there, differs } = await restoreKeys(file);
  await noteContexts(home.data, async () => Object.keys((await readContexts()).contexts));
  if (json) printJson({ restored, there, differs });
  else if (restored.length + there.length > 0)
    print(...restored.map((name) => `${name} is restored`), ...there.map((name) => `${name} is here already`));
  if (differs.length === 0) return;
  const why = `not restored, for another key is kept here by the same name, and stays: ${differs.join(", ")}`;
  throw new UserError(`${why}; restore to another folder: XENO_HOME=FOLDER xeno key restore ${shellWord(file)}`);
}
