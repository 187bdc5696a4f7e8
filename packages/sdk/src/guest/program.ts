/**
 * A program in a running guest: its standard streams, its terminal, its end. Who controls the inputs: the guest, every byte that comes; it
 * sends no more than a window ahead of what was read here.
 */
import { Duplex, Readable, Writable } from "node:stream";
import { FRAME_BYTES_MAX, Frames, frame, type Frame } from "@xenoservers/protocol/channel";
import type { MachineLink } from "../session/machine-link.ts";
import type { WindowSize } from "./window-size.ts";

export interface ProgramWanted {
  /** The program and its arguments; none: the user's own shell. */
  args: readonly string[];
  env?: readonly (readonly [string, string])[];
  /** A name or a number, with `:group` where that is another; else the image's own, or root. */
  user?: string;
  workdir?: string;
  /** It has a terminal of this size: what it prints comes all on one stream. */
  terminal?: WindowSize;
  /** Not a program: files by request (files.ts). */
  files?: true;
}

/** `why`: it could not be started (codes as of container engines: 125, 126, 127). */
export interface ProgramEnd {
  exitCode: number;
  why: string | null;
}

/** With its head no more than a tunnel sends at once. */
const PIECE_BYTES = 56 * 1024;
/** How far its standard input is written ahead of what it has read. */
const AHEAD_BYTES_MAX = 512 * 1024;
const COUNT_BYTES = 4;
const GONE = "the link went down, and the program in the guest with it: run it again";

const sizeOf = ({ columns, rows }: WindowSize): string => `${columns}x${rows}`;

function settingsOf({ args, env, user, workdir, terminal, files }: ProgramWanted): Uint8Array {
  const one = (key: string, value: string | undefined): string[] => (value === undefined ? [] : [`${key}=${value}`]);
  const pairs = [
    ...args.map((arg) => `arg=${arg}`),
    ...(env ?? []).map(([name, value]) => `env=${name}=${value}`),
    ...one("user", user),
    ...one("workdir", workdir),
    ...one("tty", terminal && sizeOf(terminal)),
    ...one("files", files && "1"),
  ];
  if (pairs.some((pair) => pair.includes("\0"))) throw new Error("no argument, name or value may hold a zero byte");
  const bytes = Buffer.from(pairs.join("\0"));
  if (bytes.length > FRAME_BYTES_MAX) throw new Error(`arguments and environment are longer than ${FRAME_BYTES_MAX} bytes`);
  return bytes;
}

/** What comes of one of its streams; whoever does not read it stops the program. */
class Printed extends Readable {
  #room: (() => void) | null = null;

  override _read(): void {
    this.#goOn();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#goOn();
    done(error);
  }

  #goOn(): void {
    const room = this.#room;
    this.#room = null;
    room?.();
  }

  /** Resolves when more may come. */
  async add(bytes: Uint8Array): Promise<void> {
    if (this.destroyed || this.push(bytes)) return;
    await new Promise<void>((resolve) => (this.#room = resolve));
  }
}

export class GuestProgram {
  readonly stdin: Writable;
  readonly stdout = new Printed();
  readonly stderr = new Printed();
  /** Rejects where the link went down: the program is ended then. */
  readonly ended: Promise<ProgramEnd>;
  /** Resolves when the guest has said something of it: what it was given from then on is used up. Never where it is refused. */
  readonly begun: Promise<void>;
  readonly #begin = Promise.withResolvers<void>();
  readonly #frames = new Frames();
  readonly #wire: Duplex;
  readonly #end = Promise.withResolvers<ProgramEnd>();
  #isOver = false;
  #ahead = 0;
  #onward: (() => void) | null = null;

  private constructor() {
    this.ended = this.#end.promise;
    this.begun = this.#begin.promise;
    this.ended.catch(() => {});
    this.#wire = new Duplex({
      read: () => {},
      write: (bytes: Uint8Array, _, done) => void this.#receive(bytes).then(() => done(), done),
      // what runs it in the guest has gone, and has not said how the program ended
      final: (done) => {
        this.#over(new Error(GONE));
        done();
      },
      destroy: (error, done) => {
        this.#over(error ?? new Error(GONE));
        done(error);
      },
    });
    this.#wire.on("error", () => {});
    this.stdin = new Writable({
      write: (bytes: Uint8Array, _, done) => this.#write(bytes, done),
      final: (done) => {
        this.#send("E");
        done();
      },
    });
    this.stdin.on("error", () => {});
  }

  static async start(link: MachineLink, wanted: ProgramWanted): Promise<GuestProgram> {
    const settings = settingsOf(wanted);
    const program = new GuestProgram();
    await link.shell(program.#wire);
    program.#send("R", settings);
    return program;
  }

  #send(letter: string, bytes?: Uint8Array): void {
    if (!this.#wire.destroyed) this.#wire.push(frame(letter, bytes));
  }

  #write(bytes: Uint8Array, done: () => void): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      if (this.#isOver) break;
      if (this.#ahead >= AHEAD_BYTES_MAX) {
        this.#onward = () => this.#write(bytes.subarray(at), done);
        return;
      }
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      this.#ahead += piece.length;
      this.#send("I", piece);
    }
    done();
  }

  #taken(count: Uint8Array): void {
    if (count.length !== COUNT_BYTES) return;
    this.#ahead = Math.max(0, this.#ahead - new DataView(count.buffer, count.byteOffset).getUint32(0));
    if (this.#ahead < AHEAD_BYTES_MAX) this.#goOn();
  }

  #goOn(): void {
    const onward = this.#onward;
    this.#onward = null;
    onward?.();
  }

  async #receive(bytes: Uint8Array): Promise<void> {
    const frames = this.#frames.take(bytes);
    if (frames === null) throw new Error("what the guest's shell says makes no sense");
    if (frames.length > 0) this.#begin.resolve();
    for (const each of frames) await this.#take(each);
  }

  async #take({ letter, bytes }: Frame): Promise<void> {
    switch (letter) {
      case "o":
        return this.stdout.add(bytes);
      case "e":
        return this.stderr.add(bytes);
      case "c":
        return this.#taken(bytes);
      case "x":
      case "f": {
        const text = Buffer.from(bytes).toString("utf8");
        const [code = "", ...words] = text.split(" ");
        return this.#over({ exitCode: /^\d{1,3}$/.test(code) ? Number(code) & 255 : 255, why: letter === "f" ? words.join(" ") : null });
      }
    }
  }

  #over(end: ProgramEnd | Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (end instanceof Error) this.#end.reject(end);
    else this.#end.resolve(end);
    this.stdout.push(null);
    this.stderr.push(null);
    this.#goOn();
    this.stdin.destroy();
    this.#wire.push(null);
  }

  resize(size: WindowSize): void {
    this.#send("W", Buffer.from(sizeOf(size)));
  }

  /** To all that it started; a number of Linux. */
  signal(number: number): void {
    this.#send("S", Buffer.from(String(number)));
  }

  /** Ends it; nothing is heard of it any more. */
  kill(): void {
    this.#wire.destroy();
  }
}
