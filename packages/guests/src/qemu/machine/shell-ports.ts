/**
 * Programs and files of a running guest, through ports that its own shell (init/shell.pl) listens on: in an image's guest our init starts
 * it, to any other its agent hands it. A session has a port to itself. What a port is, whoever opens one says (`ShellWay`). Who controls
 * the inputs: the customer (frames), the guest (every byte that comes back, which is handed to that customer alone).
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { Duplex } from "node:stream";
import { NO_SHELL, SHELL_FULL, WholeFrames, frame } from "@xenoservers/protocol/channel";
import type { GuestAgent } from "./agent.ts";
import { SHELL_PORTS } from "./plan.ts";
import { QmpError } from "./qmp.ts";

/** Handed over as one program: the last calls the others. */
const SHELL_FILES = ["who.pl", "program.pl", "shell.pl"].map((name) => path.join(import.meta.dirname, "../init", name));
/** Until the guest's shell says that nothing runs at its port. */
const READY_MS = 30_000;
/** Of one that an agent may have to start first. */
const ALIVE_MS = 1_500;
const TOKEN_BYTES = 16;
/** As GLib says it of a program that is not there, and an agent of a request that its owner forbids. */
const NOT_THERE = /no such file|has been disabled/i;
/** What an ended session's program may have printed that is thrown away before its port is given up. */
const STALE_BYTES_MAX = 64 * 1024 * 1024;

/** Asks that nothing runs at a port; resolves when the guest has said so, rejects when it does not in time. What came before is stale. */
function cleared(socket: Duplex, ms: number): Promise<void> {
  const token = randomBytes(TOKEN_BYTES);
  const answer = Buffer.from(frame("p", token));
  return new Promise((resolve, reject) => {
    let tail = Buffer.alloc(0);
    let bytes = 0;
    const over = (error: Error | null): void => {
      clearTimeout(timer);
      socket.off("data", heard).off("close", closed);
      socket.pause();
      if (error) reject(error);
      else resolve();
    };
    const closed = (): void => over(new QmpError("the machine stopped here before the program began: run it again"));
    const heard = (part: Buffer): void => {
      bytes += part.length;
      tail = Buffer.concat([tail, part]).subarray(-(answer.length + part.length));
      if (tail.includes(answer)) over(null);
      else if (bytes > STALE_BYTES_MAX) over(new QmpError("the guest does not end what was stopped"));
    };
    const timer = setTimeout(() => over(new QmpError("nothing in the guest answers at its shell port")), ms);
    socket.on("data", heard).once("close", closed).resume();
    socket.write(Buffer.concat([frame("Q"), frame("P", token)]));
  });
}

/** One that runs already keeps its ports: the second ends by itself. */
async function handOver(agent: GuestAgent, names: readonly string[]): Promise<void> {
  const program = Buffer.concat(await Promise.all(SHELL_FILES.map((file) => readFile(file))));
  const wanted = { path: "perl", arg: ["-", "/", "-", ...names], "input-data": program.toString("base64") };
  await agent.ask("guest-exec", wanted).catch((error: unknown) => {
    if (error instanceof QmpError && NOT_THERE.test(error.message)) throw new QmpError(`${NO_SHELL}: ${error.message}`);
    throw error;
  });
}

/** A customer's session at a port; what runs there ends with it. */
class ShellSession extends Duplex {
  readonly #socket: Duplex;
  readonly #frames = new WholeFrames();
  readonly #heard = (bytes: Buffer): void => {
    if (!this.push(bytes)) this.#socket.pause();
  };
  readonly #closed = (): void => void this.destroy();

  constructor(socket: Duplex) {
    super();
    this.#socket = socket;
    socket.on("data", this.#heard).once("close", this.#closed);
    socket.pause();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const whole = this.#frames.take(bytes);
    if (whole === null) return done(new QmpError("that is no request to the guest's shell"));
    if (whole.length === 0) return done();
    this.#socket.write(whole, done);
  }

  /** The customer has gone. */
  override _final(done: () => void): void {
    done();
    this.destroy();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket.off("data", this.#heard).off("close", this.#closed);
    done(error);
  }
}

/** How a guest's ports are reached. */
interface ShellWay {
  /** Who starts the shell: our own init, once; or the guest's agent, which is handed it with the names of its ports. */
  start: { by: "init"; wake: () => Promise<void> } | { by: "agent"; agent: GuestAgent; names: readonly string[] };
  /** Paused. Rejects where the guest does not answer within that time, as far as that can be told before anything is said. */
  connect(index: number, ms: number): Promise<Duplex>;
  /** Whether a port that is free stays connected. */
  keepsOpen: boolean;
}

/** A port that one has to itself, without frames; what runs at it hears an end once it is given back. */
export interface BarePort {
  /** As the guest knows it. */
  name: string;
  socket: Duplex;
  give(): void;
}

interface Port {
  index: number;
  socket: Duplex | null;
  isTaken: boolean;
  /** Its session is over, and what ran there is being ended. */
  freeing: Promise<void> | null;
}

export class ShellPorts {
  readonly #way: ShellWay;
  readonly #ports: Port[] = Array.from({ length: SHELL_PORTS }, (_, index) => ({
    ...{ index, socket: null, isTaken: false, freeing: null },
  }));
  #starting: Promise<void> | null = null;

  constructor(way: ShellWay) {
    this.#way = way;
  }

  /** A session of frames. Rejects with QmpError where all ports are taken, or nothing in the guest answers. */
  async open(): Promise<Duplex> {
    const port = await this.#taken();
    if (!port) throw new QmpError(`at most ${SHELL_PORTS} programs and copies at once: ${SHELL_FULL}`);
    try {
      const socket = await this.#ready(port);
      const session = new ShellSession(socket);
      session.once("close", () => void (port.freeing = this.#free(port)));
      return session;
    } catch (error) {
      this.#drop(port);
      throw error;
    }
  }

  /** For a guest whose agent starts what reads it. Null where all are taken, or its own init has them. */
  async bare(): Promise<BarePort | null> {
    const { start } = this.#way;
    const port = start.by === "agent" ? await this.#taken() : null;
    if (!port || start.by !== "agent") return null;
    try {
      port.socket?.destroy();
      const socket = await this.#way.connect(port.index, READY_MS);
      port.socket = socket;
      return { name: start.names[port.index] ?? "", socket, give: () => this.#drop(port) };
    } catch (error) {
      this.#drop(port);
      throw error;
    }
  }

  /** Null where all are in use. */
  async #taken(): Promise<Port | null> {
    for (;;) {
      const port = this.#ports.find(({ isTaken }) => !isTaken);
      if (port) port.isTaken = true;
      if (port) return port;
      const freeing = this.#ports.flatMap((each) => each.freeing ?? []);
      if (freeing.length === 0) return null;
      await Promise.race(freeing);
    }
  }

  async #ready(port: Port): Promise<Duplex> {
    const { start } = this.#way;
    if (start.by === "init") {
      await start.wake();
      return this.#clear(port, READY_MS);
    }
    return this.#clear(port, ALIVE_MS).catch(async () => {
      await (this.#starting ??= handOver(start.agent, start.names).finally(() => (this.#starting = null)));
      return this.#clear(port, READY_MS);
    });
  }

  /** With nothing that runs at it. */
  async #clear(port: Port, ms: number): Promise<Duplex> {
    const socket = port.socket?.destroyed === false ? port.socket : await this.#way.connect(port.index, ms);
    port.socket = socket;
    await cleared(socket, ms);
    return socket;
  }

  /** What ran there is ended before another comes. */
  async #free(port: Port): Promise<void> {
    if (port.socket && !port.socket.destroyed) await cleared(port.socket, READY_MS).catch(() => port.socket?.destroy());
    if (!this.#way.keepsOpen) port.socket?.destroy();
    port.isTaken = false;
    port.freeing = null;
  }

  #drop(port: Port): void {
    port.socket?.destroy();
    port.isTaken = false;
  }

  /** What listened there has gone, and the program that it ran with it. */
  closed(index: number): void {
    this.#ports[index]?.socket?.destroy();
  }

  close(): void {
    for (const port of this.#ports) this.#drop(port);
  }
}
