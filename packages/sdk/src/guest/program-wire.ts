/**
 * A program in a running guest as both a page and Node hold it: its standard streams as bytes, its terminal, its end. Who controls the
 * inputs: the guest, every byte that comes; it sends no more than a window ahead of what was taken here.
 */
import { utf8 } from "@xenoservers/protocol";
import { FRAME_BYTES_MAX, Frames, frame, type Frame } from "@xenoservers/protocol/channel";
import { assertWanted } from "../calling-off.ts";
import { onAbort } from "../on-abort.ts";
import type { MachineLink } from "../session/machine-link.ts";
import type { WindowSize } from "./window-size.ts";
import { Wire } from "./wire.ts";

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

/** Takes what comes of it; whoever does not take it stops the program. */
export interface Printing {
  stdout(bytes: Uint8Array): void | Promise<void>;
  stderr(bytes: Uint8Array): void | Promise<void>;
  /** Nothing more comes. */
  over(): void;
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
  const bytes = utf8(pairs.join("\0"));
  if (bytes.length > FRAME_BYTES_MAX) throw new Error(`arguments and environment are longer than ${FRAME_BYTES_MAX} bytes`);
  return bytes;
}

export class ProgramWire {
  /** Rejects where the link went down: the program is ended then. */
  readonly ended: Promise<ProgramEnd>;
  /** Resolves when the guest has said something of it. Never where it is refused. */
  readonly begun: Promise<void>;
  readonly #begin = Promise.withResolvers<void>();
  readonly #printing: Printing;
  readonly #frames = new Frames();
  readonly #wire: Wire;
  readonly #end = Promise.withResolvers<ProgramEnd>();
  #isOver = false;
  #ahead = 0;
  /** Who waits until it has read more. */
  readonly #waiting: (() => void)[] = [];

  private constructor(printing: Printing) {
    this.#printing = printing;
    this.ended = this.#end.promise;
    this.begun = this.#begin.promise;
    this.ended.catch(() => {});
    this.#wire = new Wire({
      take: (bytes) => this.#receive(bytes),
      // what runs it in the guest has gone, and has not said how the program ended
      ended: () => this.#over(new Error(GONE)),
      closed: (why) => this.#over(why ?? new Error(GONE)),
    });
  }

  /** `signal`: given before it could be asked for, it is not asked for any more. */
  static async start(
    link: Pick<MachineLink, "shell">,
    wanted: ProgramWanted,
    printing: Printing,
    signal?: AbortSignal,
  ): Promise<ProgramWire> {
    assertWanted(signal);
    const settings = settingsOf(wanted);
    const program = new ProgramWire(printing);
    const undo = signal && onAbort(signal, () => program.kill());
    await link.shell(program.#wire).finally(() => undo?.());
    program.#send("R", settings);
    return program;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  #send(letter: string, bytes?: Uint8Array): void {
    void this.#wire.say(frame(letter, bytes));
  }

  /** To its standard input: resolves when no more of it waits here than may, or nobody reads any more. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      while (!this.#isOver && this.#ahead >= AHEAD_BYTES_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
      if (this.#isOver) return;
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      this.#ahead += piece.length;
      this.#send("I", piece);
    }
  }

  /** Its standard input ends. */
  end(): void {
    this.#send("E");
  }

  #taken(count: Uint8Array): void {
    if (count.length !== COUNT_BYTES) return;
    this.#ahead = Math.max(0, this.#ahead - new DataView(count.buffer, count.byteOffset).getUint32(0));
    if (this.#ahead < AHEAD_BYTES_MAX) this.#goOn();
  }

  #goOn(): void {
    for (const goOn of this.#waiting.splice(0)) goOn();
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
        return this.#printing.stdout(bytes);
      case "e":
        return this.#printing.stderr(bytes);
      case "c":
        return this.#taken(bytes);
      case "x":
      case "f": {
        const [code = "", ...words] = new TextDecoder().decode(bytes).split(" ");
        return this.#over({ exitCode: /^\d{1,3}$/.test(code) ? Number(code) & 255 : 255, why: letter === "f" ? words.join(" ") : null });
      }
    }
  }

  #over(end: ProgramEnd | Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    if (end instanceof Error) this.#end.reject(end);
    else this.#end.resolve(end);
    this.#printing.over();
    this.#goOn();
    this.#wire.sayEnd();
  }

  resize(size: WindowSize): void {
    this.#send("W", utf8(sizeOf(size)));
  }

  /** To all that it started; a number of Linux. */
  signal(number: number): void {
    this.#send("S", utf8(String(number)));
  }

  /** Ends it; nothing is heard of it any more. */
  kill(): void {
    this.#wire.destroy();
  }
}
