/** A market of separate programs, started by the command line as people start them; any of them can be killed without warning. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { until } from "./market.ts";

const CLI = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");

export interface Done {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcess;
  /** What it has printed so far. */
  seen: Done;
  done: Promise<Done>;
}

export class Programs {
  readonly folder: string;
  readonly #port: number;
  url = "";

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = port;
  }

  static async open(port: number): Promise<Programs> {
    return new Programs(await mkdtemp(path.join(tmpdir(), "xeno-kill-")), port);
  }

  /** `xeno ARGS` by that person. */
  xeno(who: string, args: string[]): Started {
    const env = { ...process.env, XENO_HOME: path.join(this.folder, who), LOG_LEVEL: "warn", NO_COLOR: "1", DATABASE_URL: undefined };
    const child = spawn(process.execPath, [CLI, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    const seen: Done = { code: null, stdout: "", stderr: "" };
    child.stdout.on("data", (chunk: Buffer) => (seen.stdout += chunk.toString()));
    child.stderr.on("data", (chunk: Buffer) => (seen.stderr += chunk.toString()));
    return { child, seen, done: new Promise((resolve) => child.on("close", (code) => resolve({ ...seen, code }))) };
  }

  /** What it printed. Throws where it fails. */
  async ok(who: string, args: string[]): Promise<string> {
    const done = await this.xeno(who, args).done;
    if (done.code !== 0) throw new Error(`xeno ${args.join(" ")}: ${done.code}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  }

  async startBroker(): Promise<ChildProcess> {
    const { child, seen } = this.xeno("operator", ["broker", "--data", this.at("broker"), "--port", String(this.#port), "--json"]);
    await until(() => seen.stdout.includes("url"), 30_000).catch(() => {
      throw new Error(seen.stderr);
    });
    this.url = (JSON.parse(seen.stdout) as { url: string }).url;
    return child;
  }

  async startServer(...args: string[]): Promise<ChildProcess> {
    const { child, seen } = this.xeno("owner", ["serve", "--data", this.at("server"), ...args]);
    await until(() => seen.stdout.includes("serves"), 60_000).catch(() => {
      throw new Error(seen.stderr);
    });
    await this.isListed();
    return child;
  }

  isListed(): Promise<void> {
    return until(async () => (await this.ok("customer", ["search", "--json"])).includes('"server":"s_'), 30_000);
  }

  /** A customer with credit and an owner, both known to the broker; the token that enrols the owner's server. */
  async people(): Promise<string> {
    for (const who of ["customer", "owner"]) await this.ok(who, ["login", this.url, "--yes", "--name", who, "--context", "test"]);
    const { party } = JSON.parse(await this.ok("customer", ["whoami", "--json"])) as { party: string };
    await this.ok("customer", ["broker", "credit", party, "10", "--data", this.at("broker")]);
    return (await this.ok("owner", ["token", "create", "--server"])).trim();
  }

  at(name: string): string {
    return path.join(this.folder, name);
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

export const kill9 = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
