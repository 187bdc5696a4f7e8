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

  /** Until its console is kept. Throws where it has none. */
  async keep(id: number): Promise<void> {
    for (const deadline = Date.now() + CONSOLE_MS; ; await pause(POLL_MS)) {
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
