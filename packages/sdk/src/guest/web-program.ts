/** A program in a running guest by the web's own streams. Who controls the inputs: the guest, every byte that comes. */
import type { MachineLink } from "../session/machine-link.ts";
import { ProgramWire, type ProgramEnd, type ProgramWanted } from "./program-wire.ts";
import { Incoming } from "./web-streams.ts";
import type { WindowSize } from "./window-size.ts";

/** A program that runs in a machine: `for await (const bytes of program.stdout)`. */
export class WebProgram {
  /** What it reads. */
  readonly stdin: WritableStream<Uint8Array>;
  /** What it prints, on a terminal all of it; whoever does not read it stops the program. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** The same of its errors. */
  readonly stderr: ReadableStream<Uint8Array>;
  readonly #wire: ProgramWire;

  private constructor(wire: ProgramWire, streams: { stdout: Incoming; stderr: Incoming }) {
    this.#wire = wire;
    [this.stdout, this.stderr] = [streams.stdout.readable, streams.stderr.readable];
    this.stdin = new WritableStream<Uint8Array>({
      async write(bytes, controller) {
        await wire.write(new Uint8Array(bytes)); // whoever gave it may change it while it is sent
        if (wire.isOver) controller.error(new Error("the program has ended"));
      },
      close: () => wire.end(),
      abort: () => wire.end(),
    });
  }

  /** Starts it through the channel of its machine. */
  static async start(link: Pick<MachineLink, "shell">, wanted: ProgramWanted): Promise<WebProgram> {
    const [stdout, stderr] = [new Incoming(), new Incoming()];
    const wire = await ProgramWire.start(link, wanted, {
      stdout: (bytes) => stdout.add(bytes),
      stderr: (bytes) => stderr.add(bytes),
      over() {
        stdout.end();
        stderr.end();
      },
    });
    return new WebProgram(wire, { stdout, stderr });
  }

  /** Rejects where the link went down: the program is ended then. */
  get ended(): Promise<ProgramEnd> {
    return this.#wire.ended;
  }

  /** Of its terminal. */
  resize(size: WindowSize): void {
    this.#wire.resize(size);
  }

  /** To all that it started; a number of Linux. */
  signal(number: number): void {
    this.#wire.signal(number);
  }

  /** Ends it; nothing is heard of it any more. */
  kill(): void {
    this.#wire.kill();
  }
}
