/**
 * A folder that this program is to keep something in, looked at before anything else is done. Node's own `mkdir` never comes back where a
 * folder above is there and takes none, as below an automounter's.
 */
import { makeFolder } from "@xenoservers/protocol/files";
import { InputError } from "../errors.ts";
import { placeProblem } from "./place-here.ts";

/** `otherwise`: how another one is named. Throws InputError. */
export async function assertFolderFor(folder: string, otherwise: string): Promise<void> {
  const problem = await placeProblem(folder);
  if (problem === null) return;
  throw new InputError(`nothing can be kept in ${folder} (${problem}): mend that, or name another folder (${otherwise})`);
}

/** Makes it where it is not there. */
export async function folderFor(folder: string, otherwise: string): Promise<void> {
  await assertFolderFor(folder, otherwise);
  await makeFolder(folder);
}
