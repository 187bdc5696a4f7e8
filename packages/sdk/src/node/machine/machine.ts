/**
 * A running machine in the hands of its customer's program: programs, files, ports, snapshots. Who controls the inputs: the guest, every
 * byte that comes; the server (answers).
 */
import type { Readable } from "node:stream";
import { InputError } from "../../errors.ts";
import { assertWanted, unlessOff } from "../../facade/calling-off.ts";
import { onAbort } from "../../facade/on-abort.ts";
import { agentExec } from "../../guest/agent-exec.ts";
import { GuestFileError } from "../../guest/files.ts";
import { GuestProgram } from "../../guest/program.ts";
import { isWithoutShell } from "../../guest/without-shell.ts";
import { parseAmount, parseDurationMs } from "../../words.ts";
import { WORK_DEFAULTS } from "../../work-options.ts";
import { forkMachine, takeSnapshot, type HeldMachine } from "./fork.ts";
import { MachineFiles } from "./machine-files.ts";
import { forwardPort, type PortForward } from "./port-forward.ts";

/** Of each stream of a program whose output is held. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const PORT_MAX = 65_535;

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
  signal?: AbortSignal;
}

async function collect(from: Readable): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of from) {
    const bytes = part as Uint8Array;
    if ((size += bytes.length) > HELD_BYTES_MAX)
      throw new GuestFileError(`the program prints more than ${HELD_BYTES_MAX} bytes: read it from machine.start as it comes`);
    parts.push(bytes);
  }
  return Buffer.concat(parts).toString();
}

/** A machine or image that runs: programs, files, ports, snapshots. */
export class Machine {
  /** What lies in it. */
  readonly files: MachineFiles;
  readonly #held: HeldMachine;
  readonly #close: () => void;

  constructor(held: HeldMachine, close: () => void) {
    this.#held = held;
    this.#close = close;
    this.files = new MachineFiles(held.session.machine);
  }

  /** Its lease. */
  get lease(): string {
    return this.#held.session.lease;
  }

  /** A program with its streams, which are read and written as they come. Whoever calls the signal ends it. */
  async start(args: readonly string[], { env, user, workdir, signal }: Omit<ProgramOptions, "input"> = {}): Promise<GuestProgram> {
    const program = await unlessOff(
      signal,
      GuestProgram.start(this.#held.session.machine, {
        args,
        ...(env ? { env: Object.entries(env) } : {}),
        ...(user === undefined ? {} : { user }),
        ...(workdir === undefined ? {} : { workdir }),
      }),
    );
    const undo = signal && onAbort(signal, () => program.kill());
    void program.ended.catch(() => null).then(() => undo?.());
    return program;
  }

  /** Runs a program to its end; `exitCode` is its own. In a guest that has only its agent it reads nothing, as root. */
  async exec(args: readonly string[], options: ProgramOptions = {}): Promise<ExecResult> {
    const { input = "", signal } = options;
    const program = await this.start(args, options);
    try {
      program.stdin.end(input);
      const [stdout, stderr] = await unlessOff(signal, Promise.all([collect(program.stdout), collect(program.stderr)]));
      const { exitCode, why } = await program.ended;
      return { exitCode, stdout, stderr, why };
    } catch (error) {
      program.kill();
      if (!isWithoutShell(error)) throw error;
      const ran = await unlessOff(signal, agentExec(this.#held, args));
      return { exitCode: ran.exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString(), why: null };
    }
  }

  /** A port of this machine, on its loopback alone, that leads to the guest's `port`; `local` 0 is any that is free. A signal closes it. */
  async forward(port: number, { local = 0, signal }: { local?: number; signal?: AbortSignal } = {}): Promise<PortForward> {
    for (const [name, value] of Object.entries({ port, local }))
      if (!(Number.isInteger(value) && value >= 0 && value <= PORT_MAX)) throw new InputError(`${name} is a number up to ${PORT_MAX}`);
    assertWanted(signal);
    const opened = await forwardPort(this.#held.session.machine, port, local, () => {});
    const undo = signal && onAbort(signal, opened.close);
    const close = (): void => {
      undo?.();
      opened.close();
    };
    if (signal?.aborted) close();
    return { port: opened.port, close };
  }

  /** It stands still, stays reserved and is paid for. */
  async pause({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await unlessOff(signal, this.#held.session.machine.ask("pause"));
  }

  /** It goes on after a pause. */
  async resume({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await unlessOff(signal, this.#held.session.machine.ask("resume"));
  }

  /** As by the reset button. */
  async reboot({ signal }: { signal?: AbortSignal } = {}): Promise<void> {
    await unlessOff(signal, this.#held.session.machine.ask("reboot"));
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
  async fork({ count = 1, maxTime = WORK_DEFAULTS.maxTime, budget = WORK_DEFAULTS.budget, signal }: ForkOptions = {}): Promise<string[]> {
    const leases: string[] = [];
    assertWanted(signal);
    await forkMachine(this.#held, {
      ...{ count, signal },
      maxTime: typeof maxTime === "number" ? maxTime : parseDurationMs(maxTime, "maxTime"),
      budget: typeof budget === "bigint" ? budget : parseAmount(budget, "budget"),
      onFork: (lease) => void leases.push(lease),
    });
    return leases;
  }

  /** Lets go of it; it runs on. */
  close(): void {
    this.#close();
  }
}
