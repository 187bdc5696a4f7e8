/**
 * Shells that wait, each for the one program that it becomes: what a program takes to be begun (a fork, setpriv, a bound) is done before
 * somebody waits for it. They end with this process. Who controls the inputs: this program, every word; programs, what they print.
 */
import type { Socket } from "node:net";
import type { Exit } from "./process-id.ts";
import type { Printed, Program } from "./program.ts";
import { start } from "./start.ts";

/** After the last program so long passes before another waits: to begin it would take its time from what comes next. */
const AGAIN_MS = 2_000;
const KIB = 1024;

/** Words come a line each; the bound of memory first, in KiB, and a line with a point last. Where that does not come nothing is begun. */
const SCRIPT = `read -r kib || exit; while IFS= read -r word; do
  if [ "$word" = . ]; then [ "$kib" = 0 ] || ulimit -d "$kib" || exit; exec "$@" </dev/null; fi
  set -- "$@" "$word"
done`;

interface ReadyOptions {
  /** At least one KiB; absent: none. */
  dataBytesMax?: number;
  timeoutMs: number;
  /** Bytes of either output. */
  maxBuffer: number;
  signal?: AbortSignal;
}

interface ReadyShell extends Program {
  stdio: readonly [Socket, Socket, Socket];
}

/** Whether they can be said: a word is a line, and the last line is no word. */
const canBeSaid = (words: readonly string[]): boolean => words.every((word) => !/[\n\0]/.test(word) && word !== ".");

/** All that it prints, up to the bound; `over` is called where there is more. */
function printedBy(socket: Socket, maxBuffer: number, over: () => void): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  socket.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes > maxBuffer) over();
    else parts.push(part);
  });
  const all = (): string => Buffer.concat(parts).toString();
  return new Promise((resolve) => (socket.closed ? resolve(all()) : socket.once("close", () => resolve(all()))));
}

async function runIn(shell: ReadyShell, words: readonly string[], options: ReadyOptions): Promise<Printed> {
  const { dataBytesMax = 0, timeoutMs, maxBuffer, signal } = options;
  let why: unknown = null;
  const letGo = (): void => shell.stdio.forEach((each) => each.destroy());
  const end = (cause: unknown): void => {
    why ??= cause;
    shell.kill("SIGKILL");
    // what it began itself, which nobody ends here, may still have its pipes
    void shell.exited.then(letGo);
  };
  const called = (): void => end(signal?.reason);
  // once more until it has ended: this process would wait for nothing else
  const late = setInterval(() => end(new Error(`it took longer than ${timeoutMs} ms`)), timeoutMs);
  signal?.addEventListener("abort", called, { once: true });
  for (const each of shell.stdio) each.ref();
  try {
    if (signal?.aborted === true) called();
    const tooMuch = (): void => end(new Error("it printed too much"));
    const [stdin, ...outputs] = shell.stdio;
    const printed = Promise.all(outputs.map((each) => printedBy(each, maxBuffer, tooMuch)));
    if (why === null) stdin.end(`${[Math.ceil(dataBytesMax / KIB), ...words, "."].join("\n")}\n`);
    const [exit, [stdout = "", stderr = ""]] = await Promise.all([shell.exited, printed]);
    return outcome(words, exit, { stdout, stderr }, why);
  } finally {
    clearInterval(late);
    signal?.removeEventListener("abort", called);
    letGo();
  }
}

/** Throws as node's execFile says it where it failed. */
function outcome(words: readonly string[], { code, signal }: Exit, printed: Printed, why: unknown): Printed {
  if (code === 0 && why === null) return printed;
  throw Object.assign(new Error(`Command failed: ${words.join(" ")}\n${printed.stderr}`, { cause: why }), { code, signal, ...printed });
}

export class ReadyShells {
  readonly #count: number;
  readonly #env: NodeJS.ProcessEnv;
  readonly #waiting: ReadyShell[] = [];
  #timer: NodeJS.Timeout | null = null;
  #running = 0;
  #isClosed = false;

  constructor(count: number, env: NodeJS.ProcessEnv) {
    this.#count = count;
    this.#env = env;
  }

  /** Has as many wait as there are to be; where none can be begun what is asked for is begun as it comes. */
  async fill(): Promise<void> {
    while (!this.#isClosed && this.#waiting.length < this.#count) {
      const shell = await start("setpriv", ["--pdeathsig", "KILL", "sh", "-c", SCRIPT], {
        ...{ stdio: ["pipe", "pipe", "pipe"], cwd: "/", env: this.#env },
      }).catch(() => null);
      if (shell === null) return;
      this.#add(shell as ReadyShell);
    }
  }

  #add(shell: ReadyShell): void {
    shell.unref();
    for (const each of shell.stdio) each.on("error", () => {}).unref();
    this.#waiting.push(shell);
    void shell.exited.then(() => this.#take(shell));
    if (this.#isClosed) this.#leave();
  }

  #take(shell: ReadyShell | undefined): void {
    const at = shell ? this.#waiting.indexOf(shell) : -1;
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** Of those that wait. */
  get pids(): number[] {
    return this.#waiting.map(({ pid }) => pid);
  }

  /** Null where none waits, and where the words cannot be said to one: nothing was begun then. */
  run(words: readonly string[], options: ReadyOptions): Promise<Printed> | null {
    this.#fillSoon();
    const shell = canBeSaid(words) ? this.#waiting.shift() : undefined;
    if (!shell) return null;
    this.#running += 1;
    return runIn(shell, words, options).finally(() => {
      this.#running -= 1;
      this.#fillSoon();
    });
  }

  #fillSoon(): void {
    if (this.#timer) clearTimeout(this.#timer);
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => {
      if (this.#running === 0) void this.fill();
    }, AGAIN_MS);
    this.#timer.unref();
  }

  #leave(): void {
    for (const shell of this.#waiting.splice(0)) for (const each of shell.stdio) each.destroy();
  }

  /** Those that wait end. */
  close(): void {
    this.#isClosed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#leave();
  }
}
