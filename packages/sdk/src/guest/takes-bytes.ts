/** Whether a folder of this machine takes names that are bytes and no text. Who controls the inputs: whoever runs this (the folder). */
import { open, rm, stat } from "node:fs/promises";
import path from "node:path";
import { nameBeside } from "@xenoservers/protocol/files";
import { nameOf } from "../byte-names.ts";
import { kernelPath } from "../kernel-path.ts";
import { WINDOWS } from "../tree-plan.ts";

export const isFolder = (file: string): Promise<boolean> =>
  stat(kernelPath(file)).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Tried where the folder is, or will be: macOS, FAT and Windows take none. */
export async function takesBytes(folder: string): Promise<boolean> {
  if (WINDOWS) return false;
  let at = path.resolve(folder);
  while (!(await isFolder(at)) && at !== path.dirname(at)) at = path.dirname(at);
  const tried = kernelPath(nameBeside(path.join(at, "name")).replace(/[^.]+$/, nameOf(Uint8Array.of(0xff))));
  return open(tried, "wx", 0o600).then(
    async (handle) => {
      await handle.close();
      await rm(tried, { force: true });
      return true;
    },
    () => false,
  );
}
