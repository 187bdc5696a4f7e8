/**
 * A small process that starts programs for its server: node copies its own page tables for each, and a server is large. It ends when its
 * server's channel does, and with it whatever asked to end with who started it (setpriv's parent-death signal). What happens in it is
 * told, never decided here. Started with the path of its server's socket, whose folder it removes at its end. Who controls the inputs:
 * its server.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import path from "node:path";
import type { FromStarter, RunAsked, StartAsked, ToldError, ToStarter } from "./messages.ts";

const [, , socketPath = ""] = process.argv;
/** As long as these are there nobody has got their numbers. */
const children = new Map<number, ChildProcess>();
/** Between two tries to reach a server that has not taken those before. */
const FULL_MS = 5;

/** Where nobody hears it any more, the channel's end says so. */
const tell = (message: FromStarter): void => void process.send?.(message, undefined, undefined, () => {});

const told = (error: unknown): ToldError => ({
  message: error instanceof Error ? error.message : String(error),
  facts: error instanceof Error ? { ...error } : {},
});

/** In clock ticks since boot. Whoever was not waited for has an entry. */
function startTicksOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function isThere(id: number, child: ChildProcess): boolean {
  if (child.pid === undefined) return false; // its error says why
  children.set(id, child);
  tell({ kind: "started", id, pid: child.pid, startTicks: startTicksOf(child.pid) });
  return true;
}

/** A socket's own, of Node's. */
type WithHandle = Socket & { _handle?: { setBlocking?(isBlocking: boolean): number } };

/**
 * Connected to the server, which is told whose it is and by which descriptor. Nothing is ever read of it here: all that comes is the
 * program's. Programs expect to wait for what they read and write.
 */
function wire(id: number, at: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: WithHandle = connect(socketPath);
    socket.pause();
    socket.once("error", reject).once("connect", () =>
      socket.write(`${id} ${at}\n`, (error) => {
        if (error) return reject(error);
        socket._handle?.setBlocking?.(true);
        resolve(socket);
      }),
    );
  });
}

async function wired(id: number, at: number): Promise<Socket> {
  for (;;) {
    try {
      return await wire(id, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      await new Promise((resolve) => setTimeout(resolve, FULL_MS));
    }
  }
}

async function wiresFor({ id, stdio }: StartAsked): Promise<Map<number, Socket>> {
  const pipes = stdio.flatMap((each, at) => (each === "pipe" ? [at] : []));
  return new Map(await Promise.all(pipes.map(async (at) => [at, await wired(id, at)] as const)));
}

async function start(asked: StartAsked): Promise<void> {
  const { id, program, args, options, files, stdio } = asked;
  const wires = await wiresFor(asked).catch((error: Error) => tell({ kind: "unreached", id, why: error.message }));
  if (!wires) return;
  const opened: number[] = [];
  try {
    for (const { file, flags, mode } of files) opened.push(openSync(file, flags, mode));
    const own = stdio.map((each, at) => wires.get(at) ?? (typeof each === "number" ? opened[each] : "ignore"));
    const child = spawn(program, args, { ...options, stdio: own });
    child.once("error", (error) => tell({ kind: "failed", id, error: told(error) }));
    child.once("exit", (code, signal) => {
      children.delete(id);
      tell({ kind: "ended", id, code, signal });
    });
    isThere(id, child);
  } catch (error) {
    tell({ kind: "failed", id, error: told(error) });
  } finally {
    for (const each of opened) closeSync(each);
    for (const each of wires.values()) each.destroy();
  }
}

function run({ id, program, args, options }: RunAsked): void {
  try {
    const child = execFile(program, args, { ...options, encoding: "utf8" }, (error, stdout, stderr) => {
      children.delete(id);
      if (!error) return tell({ kind: "printed", id, stdout, stderr });
      const { message, facts } = told(error);
      tell({ kind: "failed", id, error: { message, facts: { ...facts, stdout, stderr } } });
    });
    child.stdin?.on("error", () => {}).end();
    isThere(id, child);
  } catch (error) {
    tell({ kind: "failed", id, error: told(error) });
  }
}

function kill({ id, signal, isGroup }: Extract<ToStarter, { kind: "kill" }>): void {
  const child = children.get(id);
  if (!child || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(isGroup ? -child.pid : child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

// what a terminal says to all of the server's group is the server's to act on
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("message", (message: ToStarter) => {
  if (message.kind === "start") void start(message);
  else if (message.kind === "run") run(message);
  else if (message.kind === "kill") kill(message);
  else tell({ kind: "pong" });
});
process.on("disconnect", () => {
  rmSync(path.dirname(socketPath), { recursive: true, force: true });
  process.exit();
});
tell({ kind: "ready" });
