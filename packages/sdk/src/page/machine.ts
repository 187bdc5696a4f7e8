/** A running machine in the hands of a page. Who controls the inputs: the guest, every byte that comes; the server (answers). */
import { unlessOff } from "../calling-off.ts";
import { onAbort } from "../on-abort.ts";
import { WebProgram } from "../guest/web-program.ts";
import { AnyMachine, wantedOf, type StartOptions } from "../machine/any-machine.ts";
import type { HeldMachine } from "../machine/fork.ts";
import { AnyMachineFiles } from "../machine/machine-files.ts";

/** A machine or image that runs: programs, files, ports, its screen, snapshots. */
export class Machine extends AnyMachine {
  /** What lies in it. */
  readonly files: AnyMachineFiles;

  constructor(held: HeldMachine, close: () => void) {
    super(held, close);
    this.files = new AnyMachineFiles(held.session.machine);
  }

  /** A program with its streams, which are read and written as they come. Whoever calls the signal ends it. */
  async start(args: readonly string[], { signal, ...options }: StartOptions = {}): Promise<WebProgram> {
    const program = await unlessOff(signal, WebProgram.start(this.link, wantedOf(args, options), signal));
    const undo = signal && onAbort(signal, () => program.kill());
    void program.ended.catch(() => null).then(() => undo?.());
    return program;
  }
}
