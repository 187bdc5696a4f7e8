/**
 * Folders for a while that whoever comes later can clear up where a kill left them: in each is a socket that its program listens at, and
 * which nobody answers once that is gone, in whatever namespace it ran. Who controls the inputs: whoever may write where such folders lie.
 */
import { lstat, readdir, rm } from "node:fs/promises";
import { createServer, connect, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { scratch, type Scratch } from "./scratch.ts";

const HELD = "held";

/** Null where this system has no sockets in folders, or the path is too long for one: then the folder is not cleared up after a kill. */
function listening(at: string): Promise<Server | null> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy());
    server
      .once("error", () => resolve(null))
      .listen(at, () => resolve(server))
      .unref();
  });
}

/** As `scratch`. */
export async function heldScratch(name: string): Promise<Scratch> {
  const { folder, remove } = await scratch(name);
  const server = await listening(path.join(folder, HELD));
  return {
    folder,
    async remove() {
      server?.close();
      await remove();
    },
  };
}

/** Whether its program is gone for certain. */
function isLeft(folder: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path.join(folder, HELD));
    const done = (isGone: boolean): void => {
      socket.destroy();
      resolve(isGone);
    };
    socket.once("connect", () => done(false)).once("error", (error: NodeJS.ErrnoException) => done(error.code === "ECONNREFUSED"));
  });
}

/** Removes what programs of this user that were killed left under that name; what cannot be removed stays. */
export async function clearLeft(name: string): Promise<void> {
  const entries = await readdir(tmpdir()).catch(() => []);
  for (const entry of entries.filter((each) => each.startsWith(`xeno-${name}-`))) {
    const folder = path.join(tmpdir(), entry);
    const found = await lstat(folder).catch(() => null);
    if (!found?.isDirectory() || found.uid !== process.getuid?.()) continue;
    if (await isLeft(folder)) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
