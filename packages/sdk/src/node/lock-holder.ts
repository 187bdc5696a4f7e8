/**
 * Who holds a lock, and whether it is there still. The id of a process tells that to whoever counts processes alike only: each
 * container's first one has the same. So a holder listens at a socket in the lock's folder, which the kernel answers for as long as the
 * process lives and no longer, in whatever container somebody asks. Who controls the inputs: this machine's disk.
 */
import { randomBytes } from "node:crypto";
import { open, readFile, rm, type FileHandle } from "node:fs/promises";
import type { Server } from "node:net";
import { hostname } from "node:os";
import path from "node:path";
import { visible } from "@xenoservers/protocol";
import { ifThere, systemCode } from "@xenoservers/protocol/files";

/** What a lock's file says. Earlier versions wrote the process alone. */
interface Holder {
  pid: number;
  /** Its own, and of its socket's name; null of an earlier version. */
  token: string | null;
  /** By what it is asked for; `pid` where its file system has no sockets. */
  by: "socket" | "pid";
  /** Of the kernel, since it was started; null where none is told. */
  boot: string | null;
  host: string | null;
}

const NONE = "-";
const orNone = (word: string | undefined): string | null => (word === undefined || word === NONE ? null : word);
const TOKEN = /^[0-9a-f]{16}$/;

const textOf = ({ pid, token, by, boot, host }: Holder): string => [pid, token ?? NONE, by, boot ?? NONE, host ?? NONE].join(" ");

function holderIn(text: string): Holder {
  const [pid, token = "", by, boot, host] = text.trim().split(/\s+/);
  const isAsked = TOKEN.test(token) && by === "socket";
  return {
    pid: Number(pid),
    token: TOKEN.test(token) ? token : null,
    by: isAsked ? "socket" : "pid",
    boot: orNone(boot),
    host: orNone(host),
  };
}

const hostHere = (): string | null => hostname().replaceAll(/\s/g, "") || null;
let boot: Promise<string | null> | null = null;
const bootHere = (): Promise<string | null> =>
  (boot ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then(
    (text) => text.trim() || null,
    () => null,
  ));

/** Of what a kernel takes as a socket's name, by the system that takes least. */
const NAME_BYTES_MAX = 100;

/** A socket's name that the kernel takes, and what is open for it. */
interface Reached {
  name: string;
  folder: FileHandle | null;
}

/** Null where its folder's name is too long for this system. */
async function reach(folder: string, token: string): Promise<Reached | null> {
  if (path.sep === "\\") return { name: `\\\\.\\pipe\\xeno-lock-${token}`, folder: null };
  const name = path.join(folder, `lock-${token}`);
  if (Buffer.byteLength(name) <= NAME_BYTES_MAX) return { name, folder: null };
  if (process.platform !== "linux") return null;
  const handle = await open(folder);
  return { name: `/proc/self/fd/${handle.fd}/lock-${token}`, folder: handle };
}

/** What this process writes into locks. */
const own = new Set<string>();

/** A place at which this process is asked whether it is there. It does not keep the process from ending. */
export class Presence {
  /** What the lock's file says. */
  readonly text: string;
  readonly #server: Server | null;
  readonly #folder: FileHandle | null;

  private constructor(holder: Holder, server: Server | null, folder: FileHandle | null) {
    [this.text, this.#server, this.#folder] = [textOf(holder), server, folder];
    own.add(this.text);
  }

  static async in(folder: string): Promise<Presence> {
    const token = randomBytes(8).toString("hex");
    const holder = { pid: process.pid, token, boot: await bootHere(), host: hostHere() };
    const reached = await reach(folder, token).catch(() => null);
    const server = reached && (await listening(reached.name));
    if (server) return new Presence({ ...holder, by: "socket" }, server, reached.folder);
    // no sockets there, or nothing can be written at all: whoever writes the lock is told why
    await reached?.folder?.close();
    return new Presence({ ...holder, by: "pid" }, null, null);
  }

  async end(): Promise<void> {
    own.delete(this.text);
    if (this.#server) await new Promise((resolve) => this.#server!.close(resolve));
    await this.#folder?.close();
  }
}

async function listening(name: string): Promise<Server | null> {
  const { createServer } = await import("node:net");
  const server = createServer((socket) => socket.destroy()).unref();
  const listens = await new Promise<boolean>((resolve) => {
    // afterwards: who asked has its answer before it is taken
    server.on("error", () => resolve(false));
    server.listen({ path: name, exclusive: true }, () => resolve(true));
  });
  return listens ? server : null;
}

/** What a kernel answers that has nobody at that name. */
const NOBODY: readonly unknown[] = ["ECONNREFUSED", "ENOENT"];

/** Null where it cannot be asked. */
async function answers(folder: string, token: string): Promise<boolean | null> {
  const reached = await ifThere(reach(folder, token));
  if (!reached) return null;
  const { connect } = await import("node:net");
  const isThere = await new Promise<boolean>((resolve) => {
    const socket = connect(reached.name);
    socket.on("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // another one's that may not be asked, or one that too many ask, is there
    socket.on("error", (error) => resolve(!NOBODY.includes(systemCode(error))));
  });
  await reached.folder?.close();
  return isThere;
}

/** Of a process that this one can ask after by its id. */
function isRunning(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // another user's cannot be asked, and is there
    return systemCode(error) === "EPERM";
  }
}

/** What one that was killed has left beside its lock. */
export async function clearLeft(text: string, folder: string): Promise<void> {
  const { token, by } = holderIn(text);
  if (token !== null && by === "socket") await rm(path.join(folder, `lock-${token}`), { force: true });
}

/** Who that is, in words; null: nobody any more. */
export async function whoIsThere(text: string, folder: string): Promise<string | null> {
  const { pid, token, by, boot, host } = holderIn(text);
  const isOther = host !== null && host !== hostHere();
  const who = isOther ? `process ${pid} of ${visible(host)}` : `process ${pid}`;
  const isThere = token !== null && by === "socket" ? await answers(folder, token) : null;
  if (isThere === true) return who;
  const isSameBoot = boot === (await bootHere());
  // of another machine that shares this disk, or of a container that cannot be asked, nobody knows here
  if (isOther && (!isSameBoot || (by === "pid" && boot !== null))) return who;
  if (isThere === false || (boot !== null && !isSameBoot)) return null;
  // its own id in what it did not write is that of one that was killed
  const runs = pid === process.pid ? own.has(text.trim()) : isRunning(pid);
  return runs ? who : null;
}
