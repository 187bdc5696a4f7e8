/**
 * Programs and files of a running guest, through ports that its own shell (init/shell.pl) listens on: in an image's guest our init starts
 * it, to any other its agent hands it. A session has a port to itself. Who controls the inputs: the customer (frames), the guest (every
 * byte that comes back, which is handed to that customer alone).
 */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import { Duplex } from "node:stream";
import { NO_SHELL, WholeFrames, frame } from "@xenoservers/protocol/channel";
import type { GuestAgent } from "./agent.ts";
import { SHELL_PORTS, shellDevice, shellPortName, shellSocket } from "./plan.ts";
import { QmpError, connectSocket } from "./qmp.ts";
import { boxPath } from "./vm.ts";

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
function cleared(socket: Socket, ms: number): Promise<void> {
  const token = randomBytes(TOKEN_BYTES);
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
    const closed = (): void => over(new QmpError("the machine's shell port closed"));
    const heard = (part: Buffer): void => {
      bytes += part.length;
      tail = Buffer.concat([tail, part]).subarray(-(TOKEN_BYTES + part.length));
      if (tail.includes(token)) over(null);
      else if (bytes > STALE_BYTES_MAX) over(new QmpError("the guest does not end what was stopped"));
    };
    const timer = setTimeout(() => over(new QmpError("nothing in the guest answers at its shell port")), ms);
    socket.on("data", heard).once("close", closed).resume();
    socket.write(Buffer.concat([frame("Q"), frame("P", token)]));
  });
}

/** A customer's session at a port; what runs there ends with it. */
class ShellSession extends Duplex {
  readonly #socket: Socket;
  readonly #frames = new WholeFrames();
  readonly #heard = (bytes: Buffer): void => {
    if (!this.push(bytes)) this.#socket.pause();
  };
  readonly #closed = (): void => void this.destroy();

  constructor(socket: Socket) {
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

interface Port {
  index: number;
  socket: Socket | null;
  isTaken: boolean;
  /** Its session is over, and what ran there is being ended. */
  freeing: Promise<void> | null;
}

export class ShellPorts {
  readonly #folder: string;
  readonly #agent: GuestAgent;
  /** Of an image: our init starts the shell, once. */
  readonly #wake: (() => Promise<void>) | null;
  readonly #ports: Port[] = Array.from({ length: SHELL_PORTS }, (_, index) => ({
    ...{ index, socket: null, isTaken: false, freeing: null },
  }));
  #starting: Promise<void> | null = null;

  constructor(folder: string, agent: GuestAgent, wake: (() => Promise<void>) | null) {
    this.#folder = folder;
    this.#agent = agent;
    this.#wake = wake;
  }

  /** A session of frames. Rejects with QmpError where all ports are taken, or nothing in the guest answers. */
  async open(): Promise<Duplex> {
    const port = await this.#taken();
    if (!port) throw new QmpError(`at most ${SHELL_PORTS} programs and copies at once: wait until one has ended`);
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

  async #ready(port: Port): Promise<Socket> {
    const socket = await this.#connected(port);
    await this.#wake?.();
    if (this.#wake) await cleared(socket, READY_MS);
    else
      await cleared(socket, ALIVE_MS).catch(async () => {
        await (this.#starting ??= this.#start().finally(() => (this.#starting = null)));
        await cleared(await this.#connected(port), READY_MS);
      });
    return this.#connected(port);
  }

  async #connected(port: Port): Promise<Socket> {
    if (port.socket && !port.socket.destroyed) return port.socket;
    port.socket = await connectSocket(boxPath(this.#folder, shellSocket(port.index)));
    port.socket.pause();
    return port.socket;
  }

  /** One that runs already keeps its ports: the second ends by itself. */
  async #start(): Promise<void> {
    const names = this.#ports.map(({ index }) => shellPortName(index));
    const program = Buffer.concat(await Promise.all(SHELL_FILES.map((file) => readFile(file))));
    const wanted = { path: "perl", arg: ["-", "/", "-", ...names], "input-data": program.toString("base64") };
    await this.#agent.ask("guest-exec", wanted).catch((error: unknown) => {
      if (error instanceof QmpError && NOT_THERE.test(error.message)) throw new QmpError(`${NO_SHELL}: ${error.message}`);
      throw error;
    });
  }

  /** What ran there is ended before another comes. */
  async #free(port: Port): Promise<void> {
    if (port.socket && !port.socket.destroyed) await cleared(port.socket, READY_MS).catch(() => port.socket?.destroy());
    port.isTaken = false;
    port.freeing = null;
  }

  #drop(port: Port): void {
    port.socket?.destroy();
    port.isTaken = false;
  }

  /** What listened there has gone, and the program that it ran with it. */
  closed(device: string): void {
    this.#ports.find(({ index }) => shellDevice(index) === device)?.socket?.destroy();
  }

  close(): void {
    for (const port of this.#ports) this.#drop(port);
  }
}
