/**
 * A domain's state as `xl save` writes it, into a pipe in place of a file: its kernel suspends itself first, and it is left paused. Where
 * nobody reads on, xl fails to write, and resumes it. Who controls the inputs: the toolstack (what it sends).
 */
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { PassThrough } from "node:stream";
import { start } from "../programs/start.ts";
import type { SendState } from "./live-save.ts";
import { complaintIn } from "./xl-words.ts";

/**
 * In sh(1): xl opens what it writes to by name, as it can no socket of this program's. Who ignores SIGPIPE is told, and undoes what it has
 * begun. By that line alone a later daemon finds that the domain of that name is saved still.
 */
export const savingLine = (id: number, name: string): string => `: ${name}; trap '' PIPE; xl save -p ${id} /proc/self/fd/5 5>&1 >&2 | cat`;

/** Outlives the daemon as far as it must: xl lets the domain go on. */
export const openStill: SendState = async (id, name, log) => {
  const said = { file: log, flags: "w", mode: 0o600 };
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  const { stdio, exited } = await start("sh", ["-c", savingLine(id, name)], {
    ...{ detached: true, stdio: ["ignore", "pipe", said], cwd: "/", env },
  });
  const stdout = stdio[1] as Socket;
  stdout.on("error", () => {}); // its end says enough
  // Node throws away what nobody has asked for once the program has ended
  const stream = stdout.pipe(new PassThrough());
  return {
    stream,
    async end() {
      for (const each of [stdout, stream]) each.destroy();
      await exited;
      return complaintIn(await readFile(log, "utf8"));
    },
  };
};
