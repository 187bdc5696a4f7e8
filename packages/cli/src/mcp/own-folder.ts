/** Paths that an agent names, held below the one folder that it was given. Who controls the inputs: the agent (the path). */
import { realpath } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../output/ui.ts";

const isBelow = (folder: string, at: string): boolean =>
  at === folder || at.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);

/** What of it is there, without links. */
async function realOf(at: string): Promise<string> {
  for (let end = at; ; end = path.dirname(end)) {
    const real = await realpath(end).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw new UserError(`${at} cannot be looked at (${error.code ?? "unknown"})`);
      return null;
    });
    if (real !== null) return path.join(real, path.relative(end, at));
    // a drive that Windows has not
    if (path.dirname(end) === end) throw new UserError(`${at} cannot be looked at: there is no ${end}`);
  }
}

/** The whole path. Throws UserError where no folder was given, or it leads out of it. */
export async function withinFolder(folder: string | null, name: string): Promise<string> {
  if (folder === null)
    throw new UserError("this server was started without --folder: no file of this machine is read or written; send 'files' instead");
  const real = await realpath(folder).catch(() => {
    throw new UserError(`there is no folder ${folder}, with which this server was started`);
  });
  const at = await realOf(path.resolve(real, name));
  if (name === "" || name.includes("\0") || !isBelow(real, at)) throw new UserError(`'${name}' does not lie in the folder of this server`);
  return at;
}
