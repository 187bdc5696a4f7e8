/** A program in a running guest by Node's streams. Who controls the inputs: the guest, every byte that comes. */
import { Readable, Writable } from "node:stream";
import type { MachineLink } from "../session/machine-link.ts";
import { ProgramWire, type Printing, type ProgramEnd, type ProgramWanted } from "./program-wire.ts";
import type { WindowSize } from "./window-size.ts";

export type { ProgramEnd, ProgramWanted } from "./program-wire.ts";

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
  readonly #end = Promise.withResolvers<ProgramEnd>();
  #wire: ProgramWire | null = null;

  private constructor() {
    this.ended = this.#end.promise;
    this.begun = this.#begin.promise;
    this.ended.catch(() => {});
    this.stdin = new Writable({
      write: (bytes: Uint8Array, _, done) => void this.#wire?.write(bytes).then(() => done()),
      final: (done) => {
        this.#wire?.end();
        done();
      },
    });
    this.stdin.on("error", () => {});
  }

  static async start(link: Pick<MachineLink, "shell">, wanted: ProgramWanted, signal?: AbortSignal): Promise<GuestProgram> {
    const program = new GuestProgram();
    const printing: Printing = {
      stdout: (bytes) => program.stdout.add(bytes),
      stderr: (bytes) => program.stderr.add(bytes),
      over() {
        program.stdout.push(null);
        program.stderr.push(null);
        program.stdin.destroy();
      },
    };
    program.#wire = await ProgramWire.start(link, wanted, printing, signal);
    program.#begin.resolve(program.#wire.begun);
    program.#end.resolve(program.#wire.ended);
    return program;
  }

  resize(size: WindowSize): void {
    this.#wire?.resize(size);
  }

  /** To all that it started; a number of Linux. */
  signal(number: number): void {
    this.#wire?.signal(number);
  }

  /** Ends it; nothing is heard of it any more. */
  kill(): void {
    this.#wire?.kill();
  }
}
