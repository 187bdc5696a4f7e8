/** The processes of a drill: each is started again when it was killed, as a service manager would. */
import { spawn, type ChildProcess } from "node:child_process";
import path from "node:path";
import { kill9, told } from "../process/programs.ts";

const HERE = import.meta.dirname;
const CLI = path.resolve(HERE, "../../packages/cli/bin/xeno.js");

export class Service {
  readonly name: string;
  readonly #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | null = null;
  /** What it said last on the error output. */
  said = "";

  constructor(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.name = name;
    this.#args = args;
    this.#env = env;
  }

  /** Starts it; `line` is called with each line that it prints. */
  start(line: (text: string) => void = () => {}): void {
    const env = { ...process.env, LOG_LEVEL: "warn", NO_COLOR: "1", DATABASE_URL: undefined, ...this.#env };
    const child = spawn(process.execPath, [...this.#args], { env, stdio: ["ignore", "pipe", "pipe"] });
    let rest = "";
    child.stdout.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split("\n");
      rest = lines.pop() ?? "";
      for (const text of lines) line(text);
    });
    child.stderr.on("data", (chunk: Buffer) => (this.said = (this.said + chunk.toString()).slice(-4_000)));
    this.#child = child;
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async kill(): Promise<void> {
    if (this.#child) await kill9(this.#child);
  }

  /** Told to end, it ends by itself. */
  async end(): Promise<void> {
    if (this.#child) await told(this.#child);
  }
}

export const brokerService = (name: string, folder: string, port: number, databaseUrl: string): Service =>
  new Service(name, [path.join(HERE, "broker-program.ts"), folder, String(port), databaseUrl]);

export const serverService = (folder: string, home: string): Service =>
  new Service("server", [CLI, "serve", "--data", folder], { XENO_HOME: home });

export const customerService = (name: string, task: object): Service =>
  new Service(name, [path.join(HERE, "customer-program.ts"), JSON.stringify(task)]);
