/**
 * A VNC viewer that is installed here, started on a port of this machine. It has the password from a file that nobody else may read: what
 * stands among a program's arguments, everybody on the machine can see. Who controls the inputs: whoever has set PATH.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { access, constants, writeFile } from "node:fs/promises";
import path from "node:path";
import { passwordFile } from "@xenoservers/sdk";
import { scratch } from "../local/scratch.ts";

const FIRST_DISPLAY = 5_900;

interface Kind {
  name: string;
  /** What the file with the password holds; null: the viewer asks a person for it. */
  file: ((port: number, password: string) => string | Buffer) | null;
  args(port: number, file: string): string[];
}

const virtViewer = (port: number, password: string): string =>
  `[virt-viewer]\ntype=vnc\nhost=127.0.0.1\nport=${port}\npassword=${password}\ndelete-this-file=0\n`;

const KINDS: readonly Kind[] = [
  { name: "vncviewer", file: (_, password) => passwordFile(password), args: (port, file) => ["-passwd", file, `127.0.0.1::${port}`] },
  { name: "remote-viewer", file: virtViewer, args: (_, file) => [file] },
  { name: "gvncviewer", file: null, args: (port) => [`127.0.0.1:${port - FIRST_DISPLAY}`] },
];

async function found(name: string): Promise<string | null> {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    const file = path.join(folder, name);
    const problem = await access(file, constants.X_OK).catch((error: unknown) => error);
    if (folder !== "" && problem === undefined) return file;
  }
  return null;
}

interface Viewer {
  name: string;
  /** It asks a person for the password. */
  asks: boolean;
  /** Its exit code. */
  ended: Promise<number>;
  close(): Promise<void>;
}

const endOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => {
    child.once("error", () => resolve(1));
    child.once("exit", (code) => resolve(code ?? 1));
  });

/** Null where there is none, or nothing to show it on. */
export async function startViewer(port: number, password: string): Promise<Viewer | null> {
  if (process.env["DISPLAY"] === undefined && process.env["WAYLAND_DISPLAY"] === undefined) return null;
  for (const { name, file, args } of KINDS) {
    const program = await found(name);
    if (program === null) continue;
    const { folder, remove } = await scratch("screen");
    const secret = path.join(folder, "screen.vv");
    if (file) await writeFile(secret, file(port, password), { mode: 0o600 });
    const child = spawn(program, args(port, secret), { stdio: ["ignore", "ignore", "inherit"] });
    const ended = endOf(child);
    return {
      ...{ name, asks: file === null, ended },
      async close() {
        child.kill("SIGTERM");
        await ended;
        await remove();
      },
    };
  }
  return null;
}
