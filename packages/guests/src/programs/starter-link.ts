/**
 * A server's side of its starter: asks, hears, and has the other ends of programs' pipes. Where the starter is killed, what was asked and
 * not answered fails; what runs to its end is ended; what was started runs on, and its end is found by its number. One that says nothing
 * for a minute in which somebody waits is killed. Who controls the inputs: what programs print, strangers; the rest, this very program.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import module from "node:module";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { ownProgram } from "../own-program.ts";
import type { FromStarter, RunAsked, StartAsked, StdioAsked, ToldError, ToStarter } from "./messages.ts";
import { isAlive, type Exit, type ProcessId } from "./process-id.ts";
import { NotAsked, type OpenFile, type Printed, type Program, type RunOptions, type StartOptions } from "./program.ts";
import { PATIENCE, pulseOf, type Patience, type Pulse } from "./starter-pulse.ts";

/** Little is kept in it, but for as long as what a program printed is on its way: at most what all who ask at once have room for. */
const FLAGS = ["--no-warnings", "--max-old-space-size=1024", "--max-semi-space-size=1"] as const;
const SOCKET = "s";
const BACKLOG = 4_096;
/** Between two looks for a program whose end nobody tells. */
const LOOK_MS = 250;
/** No kernel starts a program with more words and variables than a quarter of this (execve(2)): they are not sent. */
const WORDS_CHARS_MAX = 8 * 1024 * 1024;
/** Whose a socket is, and a line's end. */
const LINE_BYTES_MAX = 64;

const errorOf = ({ message, facts }: ToldError): Error => Object.assign(new Error(message), facts);

const tooLong = (program: string): Error =>
  Object.assign(new Error("spawn E2BIG"), { errno: -7, code: "E2BIG", syscall: "spawn", path: program });

const LOST = "the process that starts programs for this server was ended";
const NO_PIPES = "a program was started, and its pipes did not come: this process may have no descriptor left for them";
/** Questions to the starter, five seconds apart. */
const JOIN_ROUNDS = 2;

interface Going {
  isRun: boolean;
  began: PromiseWithResolvers<ProcessId>;
  exited: PromiseWithResolvers<Exit>;
  printed: PromiseWithResolvers<Printed>;
  /** Once it began. */
  id: ProcessId | null;
  /** Whether this process stays for it. */
  isHeld: boolean;
}

function going(isRun: boolean): Going {
  const made = {
    ...{ isRun, id: null, isHeld: true, began: Promise.withResolvers<ProcessId>(), exited: Promise.withResolvers<Exit>() },
    printed: Promise.withResolvers<Printed>(),
  };
  // each is waited for by some alone
  for (const { promise } of [made.began, made.printed]) promise.catch(() => {});
  return made;
}

/** Reads whose a socket is; what has come behind that line is the program's own, and stays to be read. Null where it says nothing such. */
function nameOn(socket: Socket): Promise<string | null> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const over = (name: string | null): void => {
      socket.off("readable", read).off("close", closed);
      resolve(name);
    };
    const closed = (): void => over(null);
    const read = (): void => {
      const more: Buffer | null = socket.read();
      if (more === null) return;
      bytes = Buffer.concat([bytes, more]);
      const end = bytes.indexOf("\n");
      if (end < 0 && bytes.length < LINE_BYTES_MAX) return;
      if (end >= 0 && end + 1 < bytes.length) socket.unshift(bytes.subarray(end + 1));
      over(end < 0 ? null : bytes.toString("latin1", 0, end));
    };
    socket.on("readable", read).once("close", closed);
  });
}

/** Throws where it ends or takes too long. */
function ready(child: ChildProcess, withinMs: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const late = setTimeout(() => reject(new Error(`it said nothing within ${withinMs / 1_000} s`)), withinMs);
  child.once("message", () => resolve()).on("error", reject);
  child.once("exit", (code, signal) => reject(new Error(`it ended with ${signal ?? code}`)));
  return promise.finally(() => clearTimeout(late));
}

export class StarterLink {
  readonly #child: ChildProcess;
  readonly #server: Server;
  readonly #going = new Map<number, Going>();
  readonly #awaited = new Map<string, PromiseWithResolvers<Socket>>();
  /** Those of programs that have begun and whose pipes are on their way. */
  readonly #joining = new Set<{ rounds: number; reject(error: Error): void }>();
  readonly #pulse: Pulse;
  readonly #patience: Patience;
  #last = 0;
  #held = 0;
  isLost = false;

  private constructor(child: ChildProcess, server: Server, folder: string, patience: Patience) {
    this.#child = child;
    this.#server = server;
    this.#patience = patience;
    this.#pulse = pulseOf(patience, {
      isAwaited: () => this.#going.size > 0 || this.#joining.size > 0,
      ask: () => this.#asksAgain(),
      silent: () => void child.kill("SIGKILL"),
    });
    server.on("connection", (socket: Socket) => void this.#named(socket));
    // one that there was no descriptor for is let go, with this said or without: whoever waits for it is told by #asksAgain
    server.on("error", () => {});
    child.on("message", (message: FromStarter) => this.#heard(message));
    // what it said before has been heard by then
    child.once("disconnect", () => this.#lost());
    child.on("error", () => {});
    // one that was killed has left it
    child.once("exit", () => void rm(folder, { recursive: true, force: true }).catch(() => {}));
  }

  /** Throws where there can be none. */
  static async open(patience: Patience = PATIENCE): Promise<StarterLink> {
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-starter-")); // this user's alone
    const server = createServer();
    let child: ChildProcess | null = null;
    try {
      server.listen({ path: path.join(folder, SOCKET), backlog: BACKLOG });
      await once(server, "listening");
      const cache = module.getCompileCacheDir?.();
      const script = ownProgram(import.meta.dirname, "starter");
      child = spawn(process.execPath, [...FLAGS, script, path.join(folder, SOCKET)], {
        stdio: ["ignore", "ignore", "ignore", "ipc"],
        env: { ...process.env, ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) },
      });
      await ready(child, patience.readyMs);
      const link = new StarterLink(child, server, folder, patience);
      link.#letGo();
      return link;
    } catch (error) {
      child?.kill("SIGKILL");
      server.close();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** For a group of processes that has to move as one. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** This process stays for as long as anybody waits for something. */
  #letGo(): void {
    this.#child.unref();
    this.#child.channel?.unref();
    this.#server.unref();
  }

  #hold(one: Going): () => void {
    if (++this.#held === 1) this.#child.channel?.ref();
    return () => {
      if (!one.isHeld) return;
      one.isHeld = false;
      if (--this.#held === 0) this.#child.channel?.unref();
    };
  }

  async #named(socket: Socket): Promise<void> {
    socket.on("error", () => {}); // its close says enough
    const name = await nameOn(socket);
    const awaited = name === null ? undefined : this.#awaited.get(name);
    if (name === null || !awaited) return void socket.destroy();
    this.#awaited.delete(name);
    awaited.resolve(socket);
  }

  /** A pipe was on its way before the word that its program had begun: one that is not there some questions later will not come. */
  #asksAgain(): void {
    this.#tell({ kind: "ping" });
    for (const each of this.#joining) if (++each.rounds > JOIN_ROUNDS) each.reject(new Error(NO_PIPES));
  }

  async #joined(wires: readonly (Promise<Socket> | null)[]): Promise<(Socket | null)[]> {
    const late = Promise.withResolvers<never>();
    const one = { rounds: 0, reject: late.reject };
    this.#joining.add(one);
    try {
      return await Promise.race([Promise.all(wires), late.promise]);
    } finally {
      this.#joining.delete(one);
    }
  }

  #heard(message: FromStarter): void {
    this.#pulse.heard();
    if (message.kind === "ready" || message.kind === "pong") return;
    const one = this.#going.get(message.id);
    if (!one) return;
    if (message.kind === "started") {
      const { pid, startTicks } = message;
      one.id = { pid, startTicks };
      return one.began.resolve(one.id);
    }
    this.#going.delete(message.id);
    if (message.kind === "ended") one.exited.resolve({ code: message.code, signal: message.signal });
    else if (message.kind === "printed") one.printed.resolve({ stdout: message.stdout, stderr: message.stderr });
    else this.#failed(one, message.kind === "failed" ? errorOf(message.error) : new NotAsked(message.why));
  }

  #failed(one: Going, error: Error): void {
    one.began.reject(error);
    one.printed.reject(error);
  }

  #lost(): void {
    this.isLost = true;
    this.#pulse.end();
    this.#server.close();
    const all = [...this.#going.values()];
    this.#going.clear();
    for (const { reject } of this.#awaited.values()) reject(new Error(LOST));
    this.#awaited.clear();
    for (const one of all) {
      if (one.id === null || one.isRun) this.#failed(one, new Error(LOST));
      if (one.id !== null) void this.#followed(one.id, one);
    }
  }

  /** What nobody tells of any more. */
  async #followed(id: ProcessId, one: Going): Promise<void> {
    while (await isAlive(id)) {
      if (one.isRun) signalled(id, "SIGKILL", false);
      await new Promise((resolve) => {
        const look = setTimeout(resolve, LOOK_MS);
        if (!one.isHeld) look.unref();
      });
    }
    one.exited.resolve({ code: null, signal: null });
  }

  /** Throws NotAsked where the starter cannot have heard it. */
  #ask(message: StartAsked | RunAsked, one: Going): void {
    this.#going.set(message.id, one);
    if (this.isLost || !this.#child.connected) {
      this.#going.delete(message.id);
      throw new NotAsked(LOST);
    }
    this.#child.send(message, (error) => {
      if (!error || !this.#going.delete(message.id)) return;
      this.#failed(one, new NotAsked(LOST, { cause: error }));
    });
  }

  #tell(message: ToStarter): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #asked(program: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
    const words = [program, ...args, ...Object.entries(env).flat()];
    if (words.reduce((sum, word) => sum + (word?.length ?? 0), 0) > WORDS_CHARS_MAX) throw tooLong(program);
    return ++this.#last;
  }

  async start(program: string, args: readonly string[], { stdio, env = { ...process.env }, ...options }: StartOptions): Promise<Program> {
    const id = this.#asked(program, args, env);
    const files: OpenFile[] = [];
    const places = stdio.map((each): StdioAsked => {
      if (typeof each === "string") return each;
      const at = files.indexOf(each);
      return at < 0 ? files.push(each) - 1 : at;
    });
    const absolute = files.map((each) => ({ ...each, file: path.resolve(each.file) }));
    const message: StartAsked = { kind: "start", id, program, args, options: { ...options, env }, files: absolute, stdio: places };
    const one = going(false);
    const release = this.#hold(one);
    const wires = stdio.map((each, at) => (each === "pipe" ? this.#await(`${id} ${at}`) : null));
    try {
      this.#ask(message, one);
      const { pid } = await one.began.promise;
      const program = this.#program(id, one, { pid, stdio: await this.#joined(wires), release });
      void one.exited.promise.then(release);
      return program;
    } catch (error) {
      for (const at of stdio.keys()) this.#awaited.delete(`${id} ${at}`);
      for (const wire of wires) void wire?.then((socket) => socket.destroy()).catch(() => {}); // it never came
      // nobody has its pipes, or ever will; where no file can be opened here, nor can its number be looked for
      if (one.id && this.isLost) void ended(one.id);
      else if (one.id) this.#tell({ kind: "kill", id, signal: "SIGKILL", isGroup: false });
      release();
      throw error;
    }
  }

  #await(name: string): Promise<Socket> {
    const awaited = Promise.withResolvers<Socket>();
    awaited.promise.catch(() => {});
    this.#awaited.set(name, awaited);
    return awaited.promise;
  }

  #program(id: number, one: Going, { pid, stdio, release }: Pick<Program, "pid" | "stdio"> & { release(): void }): Program {
    let isOver = false;
    const exited = one.exited.promise.finally(() => {
      isOver = true;
      stdio[0]?.destroy();
    });
    return {
      ...{ pid, stdio, exited, unref: release },
      kill: (signal, isGroup = false) => {
        if (isOver) return;
        if (!this.isLost) this.#tell({ kind: "kill", id, signal, isGroup });
        else if (one.id) void ended(one.id, signal, isGroup);
      },
    };
  }

  async run(program: string, args: readonly string[], { signal, env = { ...process.env }, ...options }: RunOptions): Promise<Printed> {
    if (signal?.aborted === true) throw aborted(signal);
    const id = this.#asked(program, args, env);
    const message: RunAsked = { kind: "run", id, program, args, options: { ...options, env } };
    const one = going(true);
    const release = this.#hold(one);
    const calledOff = (): void => {
      this.#tell({ kind: "kill", id, signal: options.killSignal ?? "SIGTERM", isGroup: false });
      if (signal) one.printed.reject(aborted(signal));
    };
    try {
      this.#ask(message, one);
      signal?.addEventListener("abort", calledOff, { once: true });
      return await one.printed.promise;
    } finally {
      signal?.removeEventListener("abort", calledOff);
      release();
    }
  }

  /** What was started runs on, as with the end of this process. */
  async close(): Promise<void> {
    if (this.isLost) return;
    const gone = once(this.#child, "exit");
    this.#child.ref();
    this.#child.disconnect();
    const late = setTimeout(() => this.#child.kill("SIGKILL"), this.#patience.closeMs);
    await gone;
    clearTimeout(late);
  }
}

/** As node:child_process says it. */
const aborted = (signal: AbortSignal): Error =>
  Object.assign(new Error("The operation was aborted", { cause: signal.reason }), { name: "AbortError", code: "ABORT_ERR" });

/** One that is gone meanwhile needs none. */
function signalled({ pid }: ProcessId, signal: NodeJS.Signals, isGroup: boolean): void {
  try {
    process.kill(isGroup ? -pid : pid, signal);
  } catch {
    // it has ended
  }
}

/** Of one that nobody waits for here: its number may have been given to another. */
async function ended(id: ProcessId, signal: NodeJS.Signals = "SIGKILL", isGroup = false): Promise<void> {
  if (await isAlive(id)) signalled(id, signal, isGroup);
}
