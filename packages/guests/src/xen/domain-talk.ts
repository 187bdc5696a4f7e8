/**
 * What a domain prints, kept as long as it runs, and what is typed on it, whichever terminal is its console now. Who controls the inputs:
 * the guest (every byte that it prints), whoever starts dom0's xenconsoled anew.
 */
import { codeOf } from "../thrown.ts";
import type { ConsoleDaemon } from "./console-daemon.ts";
import { isConsoleKept, keepConsole, printedBytes, typeOn } from "./domain-console.ts";
import type { ConsoleLine, Xl } from "./xl.ts";

/** How often what it prints is looked for, and what it printed last may be on its way. */
export const POLL_MS = 250;
const QUIET_POLLS = 3;
const LAST_POLLS_MAX = 40;
const CONSOLE_MS = 30_000;

function isAbsent(error: unknown): false {
  if (codeOf(error) === "ENOENT") return false;
  throw error;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface TalkOf {
  xl: Pick<Xl, "console">;
  daemon: ConsoleDaemon;
  /** The domain's own. */
  folder: string;
  outputMibMax: number;
  /** Which of its lines is its console. */
  line: ConsoleLine;
}

export class DomainTalk {
  readonly #of: TalkOf;

  constructor(of: TalkOf) {
    this.#of = of;
  }

  /** Until its console is kept. Throws where it has none, or nobody wants it any more. */
  async keep(id: number, signal?: AbortSignal): Promise<void> {
    for (const deadline = Date.now() + CONSOLE_MS; ; await pause(POLL_MS)) {
      signal?.throwIfAborted();
      if (await this.keepNow(id)) return;
      if (Date.now() > deadline) throw new Error(`${this.#of.daemon.name} opens no console for the domain: is it running?`);
    }
  }

  /** False where there is no console of it now: one that is gone has another in its place soon, or its domain has ended. */
  async keepNow(id: number): Promise<boolean> {
    const { xl, daemon, folder, outputMibMax, line } = this.#of;
    const tty = await xl.console(id, line);
    return tty !== null && (await keepConsole(folder, { tty, daemon }, outputMibMax).catch(isAbsent));
  }

  /** Where xenconsoled was started anew, the domain has another console, which nobody keeps yet. */
  isKept(): Promise<boolean> {
    return isConsoleKept(this.#of.folder, this.#of.outputMibMax);
  }

  /** Until what it printed last has come. */
  async lastWords(): Promise<void> {
    for (let before = -1, quiet = 0, polls = 0; quiet < QUIET_POLLS && polls < LAST_POLLS_MAX; polls++) {
      const now = await printedBytes(this.#of.folder);
      quiet = now === before ? quiet + 1 : 0;
      before = now;
      await pause(POLL_MS);
    }
  }

  async type(id: number, bytes: Uint8Array): Promise<void> {
    const { xl, daemon, line } = this.#of;
    const tty = await xl.console(id, line);
    if (tty === null) throw new Error("the domain has no console");
    await typeOn({ tty, daemon }, bytes);
  }
}

/** A console that is begun to be kept while the rest of its domain is made. */
export class ConsoleKeeping {
  readonly id: number;
  /** Rejects where it has no console. */
  readonly kept: Promise<void>;
  readonly #unwanted = new AbortController();

  constructor(talk: Pick<DomainTalk, "keep">, id: number) {
    this.id = id;
    this.kept = talk.keep(id, this.#unwanted.signal);
    this.kept.catch(() => {}); // said to whoever begins the domain
  }

  /** Nothing more is done for it. */
  async leave(): Promise<void> {
    this.#unwanted.abort(new Error("the domain is not wanted any more"));
    await this.kept.catch(() => {});
  }
}
