/**
 * A running machine in the hands of its customer's program, as both a page and Node hold it. Who controls the inputs: the guest, every byte
 * that comes; the server (answers).
 */
import { InputError } from "../errors.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import { bytesOf } from "../facade/given-program.ts";
import { onAbort } from "../on-abort.ts";
import { agentExec } from "../guest/agent-exec.ts";
import { GuestFileError } from "../guest/files.ts";
import { ProgramWire, type ProgramWanted } from "../guest/program-wire.ts";
import { byteStreams, type ByteStreams } from "../guest/web-streams.ts";
import type { WindowSize } from "../guest/window-size.ts";
import { isWithoutShell } from "../guest/without-shell.ts";
import type { MachineLink } from "../session/machine-link.ts";
import { budgetIn, parseDurationMs } from "../words.ts";
import { WORK_DEFAULTS } from "../work-options.ts";
import { Gathered } from "./gathered.ts";
import { forkMachine, takeSnapshot, type HeldMachine } from "./fork.ts";

/** Of each stream of a program whose output is held. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const PORT_MAX = 65_535;
/** Of what is typed on a console, as much as one message of the channel has room for beside its head. */
const TYPED_BYTES = 16 * 1024;

/** How a program in a machine is run. */
export interface ProgramOptions {
  env?: Readonly<Record<string, string>>;
  /** A name or a number, with `:group` where that is another. */
  user?: string;
  workdir?: string;
  /** What it reads. */
  input?: string | Uint8Array;
  signal?: AbortSignal;
}

/** How a program is started whose streams are read and written as they come. */
export interface StartOptions extends Omit<ProgramOptions, "input"> {
  /** It has a terminal of this size: what it prints comes all on one stream. */
  terminal?: WindowSize;
}

/** What a program in a machine came to. */
export interface ExecResult {
  exitCode: number;
  stdout: string;
  stderr: string;
  /** Why it could not be started; null: it ran. */
  why: string | null;
}

interface ForkOptions {
  /** How many; absent: one. */
  count?: number;
  /** The longest run of each: "10m", or milliseconds. */
  maxTime?: string | number;
  /** The most that each may cost: "0.50", or nanos. */
  budget?: string | bigint;
  /** Called with each lease once it runs: where a later one does not start, those before it go on. */
  onFork?(lease: string): void;
  signal?: AbortSignal;
}

class HeldText {
  readonly #held = new Gathered();

  add(bytes: Uint8Array): void {
    if (this.#held.size + bytes.length > HELD_BYTES_MAX)
      throw new GuestFileError(`the program prints more than ${HELD_BYTES_MAX} bytes: read it from machine.start as it comes`);
    this.#held.add(bytes);
  }

  get text(): string {
    return textOf(this.#held.bytes);
  }
}

const textOf = (bytes: Uint8Array): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

export function wantedOf(args: readonly string[], { env, user, workdir, terminal }: StartOptions): ProgramWanted {
  return {
    args,
    ...(env ? { env: Object.entries(env) } : {}),
    ...(user === undefined ? {} : { user }),
    ...(workdir === undefined ? {} : { workdir }),
    ...(terminal ? { terminal } : {}),
  };
}

/** Throws InputError. */
export function assertPort(name: string, value: number): void {
  if (!(Number.isInteger(value) && value >= 0 && value <= PORT_MAX)) throw new InputError(`${name} is a number up to ${PORT_MAX}`);
}

/** A machine or image that runs: programs, ports, snapshots. */
export class AnyMachine {
  readonly #held: HeldMachine;
  readonly #close: () => void;

  constructor(held: HeldMachine, close: () => void) {
    this.#held = held;
    this.#close = close;
  }

  /** Its lease. */
  get lease(): string {
    return this.#held.session.lease;
  }

  protected get link(): MachineLink {
    return this.#held.session.machine;
  }

  /** Runs a program to its end; `exitCode` is its own. In a guest that has only its agent it reads nothing, as root. */
  async exec(args: readonly string[], options: ProgramOptions = {}): Promise<ExecResult> {
    const { input = "", signal } = options;
    const reads = bytesOf(input);
    const [stdout, stderr] = [new HeldText(), new HeldText()];
    const printing = { stdout: (bytes: Uint8Array) => stdout.add(bytes), stderr: (bytes: Uint8Array) => stderr.add(bytes), over: () => {} };
    const program = await unlessOff(signal, ProgramWire.start(this.link, wantedOf(args, options), printing, signal));
    try {
      void program.write(reads).then(() => program.end());
      const { exitCode, why } = await unlessOff(signal, program.ended);
      return { exitCode, stdout: stdout.text, stderr: stderr.text, why };
    } catch (error) {
      program.kill();
      if (!isWithoutShell(error)) throw error;
      const ran = await unlessOff(signal, agentExec(this.#held, args));
      return { exitCode: ran.exitCode, stdout: textOf(ran.stdout), stderr: textOf(ran.stderr), why: null };
    }
  }

  /** Types on its serial console; what that prints is the job's output. Resolves when it is on its way. */
  async type(typed: string | Uint8Array, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    const bytes = bytesOf(typed);
    for (let at = 0; at < bytes.length; at += TYPED_BYTES) await unlessOff(signal, this.link.input(bytes.subarray(at, at + TYPED_BYTES)));
  }

  /** A connection to a port of the guest. What the guest refuses ends it, with the reason. A signal resets it. */
  async connect(port: number, { signal }: { signal?: AbortSignal } = {}): Promise<ByteStreams> {
    assertPort("port", port);
    return this.#streams((link, stream) => link.open(port, stream), signal);
  }

  /** Its screen, which speaks RFB (RFC 6143) and asks for no password: where it was ordered with one. A signal lets go of it. */
  async screen({ signal }: { signal?: AbortSignal } = {}): Promise<ByteStreams> {
    return this.#streams((link, stream) => link.screen(stream), signal);
  }

  async #streams(
    join: (link: MachineLink, stream: Parameters<MachineLink["screen"]>[0]) => Promise<void>,
    signal: AbortSignal | undefined,
  ) {
    assertWanted(signal);
    return unlessOff(
      signal,
      byteStreams(async (stream) => {
        const undo = signal && onAbort(signal, () => stream.destroy(new Error("it was called off")));
        if (undo) stream.once("close", undo);
        await join(this.link, stream);
      }),
    );
  }

  /** It stands still, stays reserved and is paid for. */
  async pause({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await unlessOff(signal, this.link.ask("pause"));
  }

  /** It goes on after a pause. */
  async resume({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await unlessOff(signal, this.link.ask("resume"));
  }

  /** As by the reset button. */
  async reboot({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await unlessOff(signal, this.link.ask("reboot"));
  }

  /** Keeps its memory and disk on its server until then; gives the snapshot's id. */
  async snapshot({ signal }: { signal?: AbortSignal } = {}): Promise<{ snapshot: string; until: number }> {
    const { snapshot, until } = await unlessOff(signal, takeSnapshot(this.#held));
    return { snapshot, until };
  }

  /**
   * New leases on the same server that go on from where this machine is; gives their ids, each of them running. Called off, it orders no
   * more and gives those that run.
   */
  async fork({ count = 1, maxTime = WORK_DEFAULTS.maxTime, budget = WORK_DEFAULTS.budget, onFork, signal }: ForkOptions = {}): Promise<
    string[]
  > {
    const leases: string[] = [];
    assertWanted(signal);
    await forkMachine(this.#held, {
      ...{ count, signal },
      maxTime: typeof maxTime === "number" ? maxTime : parseDurationMs(maxTime, "maxTime"),
      budget: budgetIn(budget),
      onFork: (lease) => {
        leases.push(lease);
        onFork?.(lease);
      },
    });
    return leases;
  }

  /** Lets go of it; it runs on. */
  close(): void {
    this.#close();
  }
}
