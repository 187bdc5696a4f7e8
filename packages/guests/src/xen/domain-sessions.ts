/**
 * Programs, files, input and the terminal of an image's domain that runs, on consoles beside its first, where our init (init/domain.pl)
 * answers. Who controls the inputs: the customer (what is asked), the guest (what it offers, every byte that comes back).
 */
import type { Duplex } from "node:stream";
import type { TerminalWindow } from "@xenoservers/protocol";
import { QmpError } from "../qemu/machine/qmp.ts";
import { ShellPorts } from "../qemu/machine/shell-ports.ts";
import { WAKE_SHELL, resizeWords } from "../qemu/oci/job-port.ts";
import { StdinPort } from "../qemu/oci/stdin-port.ts";
import { beginSession } from "./console-session.ts";
import { openWire, ringCommand, type WireCommand } from "./console-wire.ts";
import { guestDevice, type DomainConsole } from "./domain-consoles.ts";
import type { Xl } from "./xl.ts";

/** Between two looks for what a kernel that boots offers. */
const OFFER_POLL_MS = 500;
/** Of a domain that boots, and of its init. */
const BOOT_MS = 120_000;
/** What its customer says while nobody reads it. */
const UNREAD_BYTES_MAX = 64 * 1024;

interface SessionsOf {
  xl: Pick<Xl, "consoleOffer">;
  /** The domain's number now. Throws where it has ended. */
  id(): Promise<number>;
  /** In place of a process at a ring: for tests. */
  wireCommand?: WireCommand;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class DomainSessions {
  readonly shell: ShellPorts;
  readonly #of: SessionsOf;
  readonly #open = new Set<Duplex>();
  #control: Promise<Duplex> | null = null;
  #stdin: Promise<StdinPort> | null = null;
  #isOver = false;

  constructor(of: SessionsOf) {
    this.#of = of;
    this.shell = new ShellPorts({
      ...{ start: { by: "init", wake: () => this.#tell(WAKE_SHELL) }, keepsOpen: false },
      connect: (shell, ms) => this.#session({ shell }, ms),
    });
  }

  /** Paused. Rejects where the domain's kernel offers no such console within that time (null: any). */
  async #wire(of: DomainConsole, ms: number | null): Promise<Duplex> {
    const { xl, id, wireCommand = ringCommand } = this.#of;
    for (const deadline = ms === null ? Number.POSITIVE_INFINITY : Date.now() + ms; ; await pause(OFFER_POLL_MS)) {
      const domain = await id();
      const offer = await xl.consoleOffer(domain, of);
      if (this.#isOver) throw new QmpError("the domain has ended");
      if (offer) {
        const wire = await openWire(wireCommand(domain, offer));
        this.#open.add(wire);
        wire.once("close", () => this.#open.delete(wire));
        if (this.#isOver) wire.destroy();
        return wire;
      }
      if (Date.now() > deadline)
        throw new QmpError(`the domain's kernel offers no ${guestDevice(of)}: it has not booted, or has no driver for it`);
    }
  }

  async #session(of: DomainConsole, ms: number | null): Promise<Duplex> {
    return beginSession(await this.#wire(of, ms), ms);
  }

  /** What our init is told. */
  async #tell(words: Uint8Array): Promise<void> {
    const opened = (this.#control ??= this.#session("control", BOOT_MS).then((session) => {
      session.resume().once("close", () => (this.#control = null));
      return session;
    }));
    const session = await opened.catch((error: unknown) => {
      this.#control = null;
      throw error;
    });
    if (session.writableLength < UNREAD_BYTES_MAX) session.write(words);
  }

  /** The terminal of an image's program. Nobody waits for it: where the guest does not listen, its terminal stays as it was. */
  resize(window: TerminalWindow): void {
    void this.#tell(resizeWords(window)).catch(() => {});
  }

  /** What the program of an image reads; as soon as its domain has booted. One side alone may feed it. */
  stdin(changed: (taken: number) => void): Promise<StdinPort> {
    return (this.#stdin ??= this.#session("stdin", null).then((session) => new StdinPort(session, changed)));
  }

  /** Nothing is asked of the domain any more; those at its consoles end. */
  close(): void {
    this.#isOver = true;
    this.shell.close();
    for (const wire of this.#open) wire.destroy();
  }
}
