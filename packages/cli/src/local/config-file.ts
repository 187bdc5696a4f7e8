import { access } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../output/ui.ts";

/** Where a program's settings are: one that is named is there; the usual one in its folder may be missing, which means all defaults. */
export async function configFileOf(folder: string, name: string, named: string | null): Promise<string> {
  const usual = path.join(folder, name);
  if (named === null || path.resolve(named) === usual) return usual;
  await access(named).catch((error: NodeJS.ErrnoException) => {
    throw new UserError(`--config ${named}: ${error.code === "ENOENT" ? "there is no such file" : error.message}`);
  });
  return path.resolve(named);
}
