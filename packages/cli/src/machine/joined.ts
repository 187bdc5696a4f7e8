/**
 * This program's standard input, or its terminal, joined to a lease's program. A terminal is left as it was found on every way out. Who
 * controls the inputs: whoever types.
 */
import { Transform, type Readable } from "node:stream";
import type { WindowSize } from "@xenoservers/sdk";
import { ownInput } from "../input/standard-input.ts";
import { say } from "../output/terminal.ts";

/** Ctrl-P Ctrl-Q, as container engines have it. */
const [DETACH_FIRST, DETACH_SECOND] = [0x10, 0x11];

/** What is typed, up to the keys by which one leaves; a Ctrl-P that something else follows is the program's. */
export class TypedKeys extends Transform {
  readonly #leave: () => void;
  #hasFirst = false;
  #hasLeft = false;

  constructor(leave: () => void) {
    super();
    this.#leave = leave;
  }

  override _transform(bytes: Buffer, _: string, done: () => void): void {
    const kept: number[] = [];
    for (const byte of this.#hasLeft ? [] : bytes) {
      if (this.#hasFirst && byte === DETACH_SECOND) {
        this.#hasFirst = false;
        this.#hasLeft = true;
        this.#leave();
        break;
      }
      if (this.#hasFirst) kept.push(DETACH_FIRST);
      this.#hasFirst = byte === DETACH_FIRST;
      if (!this.#hasFirst) kept.push(byte);
    }
    if (kept.length > 0) this.push(Buffer.from(kept));
    done();
  }

  override _flush(done: () => void): void {
    if (this.#hasFirst) this.push(Buffer.from([DETACH_FIRST]));
    done();
  }
}

export interface Joined {
  /** Resolves when whoever types has left it, and it runs on. */
  left: Promise<void>;
  /** Whether what is typed is the program's. */
  readonly isJoined: boolean;
  /**
   * For `onInput` of a session, by what its customer ordered, whatever a server asks for: null for a program that was to read nothing of
   * what is typed here.
   */
  input(held: { stdin: boolean; terminal: unknown }): Readable | null;
  /** Of a terminal, from now on: how large it is here. */
  followSize(program: { resize(size: WindowSize): Promise<void> }): void;
  /** Lets go of standard input. */
  close(): void;
}

/** `quiet`: the keys by which one leaves it are not said. */
export function joinedHere(quiet: boolean): Joined {
  const { stdin, stdout } = process;
  const { promise: left, resolve: leave } = Promise.withResolvers<void>();
  let isJoined = false;
  let isRaw = false;
  let resized = (): void => {};
  const restore = (): void => {
    if (isRaw) stdin.setRawMode(false);
    isRaw = false;
  };
  return {
    left,
    get isJoined() {
      return isJoined;
    },
    input(held) {
      if (!held.stdin) return null;
      isJoined = true;
      if (held.terminal === null || !stdin.isTTY) return ownInput();
      process.once("exit", restore);
      stdin.setRawMode(true);
      isRaw = true;
      if (!quiet) say("leave it with Ctrl-P Ctrl-Q");
      return stdin.pipe(new TypedKeys(() => leave()));
    },
    followSize(program) {
      if (!stdout.isTTY) return;
      resized = () => void program.resize({ rows: stdout.rows, columns: stdout.columns }).catch(() => {});
      stdout.on("resize", resized);
      resized();
    },
    close() {
      stdout.off("resize", resized);
      process.off("exit", restore);
      restore();
      if (isJoined) stdin.destroy();
    },
  };
}
