/**
 * Somebody who reads a page and does what it says: an empty home, a folder of their own, a shell, and what npm installs for them. Nothing of
 * the repository is in it but the packed files.
 */
import { ok } from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Packed } from "../packed-files.ts";

export interface Said {
  code: number;
  /** Both streams, as they came. */
  text: string;
}

/** What this process has of its own that a reader's shell has not. */
const OWN = /^(?:XENO_|npm_|NODE_(?!EXTRA_CA_CERTS)|VITEST|CI$|INIT_CWD$|XDG_|TEST$|DEV$|PROD$|MODE$|BASE_URL$|SSR$)/;

export class Guest {
  readonly home: string;
  readonly folder: string;
  readonly packed: Packed;
  /** What each line of the pages so far has said. */
  readonly known: Map<string, string>;
  readonly #env: NodeJS.ProcessEnv;
  readonly #serving: ChildProcess[] = [];

  private constructor(home: string, folder: string, packed: Packed, known: Map<string, string>, env: NodeJS.ProcessEnv) {
    this.home = home;
    this.folder = folder;
    this.packed = packed;
    this.known = known;
    this.#env = env;
  }

  /** `home`: new, or that of somebody who has installed things before. `folder`: for each page a new one. */
  static async at(home: string, folder: string, packed: Packed, known = new Map<string, string>()): Promise<Guest> {
    await mkdir(home, { recursive: true });
    await mkdir(folder, { recursive: true });
    const global = path.join(home, ".npm-global");
    const kept = Object.entries(process.env).filter(([name]) => !OWN.test(name));
    const env = {
      ...Object.fromEntries(kept),
      ...{ HOME: home, NPM_CONFIG_PREFIX: global, NO_COLOR: "1", TERM: "xterm" },
      PATH: `${global}/bin:${path.dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
    };
    return new Guest(home, folder, packed, known, env);
  }

  async has(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(this.folder, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, text);
    }
  }

  /** A file in the folder holds this. */
  async sees(name: string, text: string): Promise<void> {
    const found = await readFile(path.join(this.folder, name), "utf8");
    ok(found.includes(text), `${name} does not hold '${text}' but: ${found}`);
  }

  /** What a program gets that is started beside the shell. */
  environment(): Record<string, string> {
    return Object.fromEntries(Object.entries(this.#env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  }

  /** One that knows nothing of what was set in others. */
  opensTerminal(): Promise<void> {
    return rm(this.#variables(), { force: true });
  }

  #variables(): string {
    return path.join(this.home, ".terminal-variables");
  }

  /** Variables that a line of a page set are there in the next. `answers`: typed at a terminal. */
  async types(command: string, answers?: string): Promise<Said> {
    const child = this.#start(command, answers !== undefined);
    let text = "";
    const hear = (chunk: Buffer): void => {
      text += String(chunk);
      if (answers === undefined || !text.includes("?")) return;
      child.stdin?.write(answers);
      answers = undefined;
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    const [code] = (await once(child, "close")) as [number | null];
    return { code: code ?? -1, text };
  }

  /** Starts what goes on; resolves when it says `ready`. */
  async serves(command: string, ready: RegExp): Promise<string> {
    const child = this.#start(command, false);
    this.#serving.push(child);
    let text = "";
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const hear = (chunk: Buffer): void => {
      text += String(chunk);
      if (ready.test(text)) resolve(text);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("close", () => reject(new Error(`${command} ended before it said ${ready}:\n${text}`)));
    return promise;
  }

  /** What serves is told to end, as Ctrl-C does; the last started ends first. */
  async close(): Promise<void> {
    for (const child of this.#serving.splice(0).reverse()) {
      if (child.exitCode !== null || child.pid === undefined) continue;
      const over = once(child, "close");
      process.kill(-child.pid, "SIGTERM");
      await over;
    }
  }

  #start(command: string, atTerminal: boolean): ChildProcess {
    const state = this.#variables();
    const script = `set -a; [ -f '${state}' ] && . '${state}'; ${command}\ncode=$?; export -p >'${state}'; exit $code`;
    const words = atTerminal ? ["script", "-qec", 'stty cols 100 rows 30; eval "$PAGE_COMMAND"', "/dev/null"] : ["bash", "-c", script];
    const [file = "", ...args] = words;
    return spawn(file, args, {
      ...{ cwd: this.folder, env: { ...this.#env, PAGE_COMMAND: command }, detached: true },
      stdio: [atTerminal ? "pipe" : "ignore", "pipe", "pipe"],
    });
  }
}
