/**
 * A running machine in the hands of its customer's program on Node: programs by its streams, files and folders, ports of this machine. Who
 * controls the inputs: the guest, every byte that comes; the server (answers).
 */
import { assertWanted, unlessOff } from "../../calling-off.ts";
import { onAbort } from "../../on-abort.ts";
import { GuestProgram } from "../../guest/program.ts";
import { AnyMachine, assertPort, wantedOf, type StartOptions } from "../../machine/any-machine.ts";
import type { HeldMachine } from "../../machine/fork.ts";
import { MachineFiles } from "./machine-files.ts";
import { forwardPort, type PortForward } from "./port-forward.ts";

/** A machine or image that runs: programs, files, ports, snapshots. */
export class Machine extends AnyMachine {
  /** What lies in it. */
  readonly files: MachineFiles;

  constructor(held: HeldMachine, close: () => void) {
    super(held, close);
    this.files = new MachineFiles(held.session.machine, held.session.lease);
  }

  /** A program with its streams, which are read and written as they come. Whoever calls the signal ends it. */
  async start(args: readonly string[], { signal, ...options }: StartOptions = {}): Promise<GuestProgram> {
    const program = await unlessOff(signal, GuestProgram.start(this.link, wantedOf(args, options), signal));
    const undo = signal && onAbort(signal, () => program.kill());
    void program.ended.catch(() => null).then(() => undo?.());
    return program;
  }

  /** A port of this machine, on its loopback alone, that leads to the guest's `port`; `local` 0 is any that is free. A signal closes it. */
  async forward(port: number, { local = 0, signal }: { local?: number; signal?: AbortSignal } = {}): Promise<PortForward> {
    for (const [name, value] of Object.entries({ port, local })) assertPort(name, value);
    assertWanted(signal);
    const opened = await forwardPort(this.link, port, local, () => {});
    const undo = signal && onAbort(signal, opened.close);
    const close = (): void => {
      undo?.();
      opened.close();
    };
    if (signal?.aborted) close();
    return { port: opened.port, close };
  }
}
