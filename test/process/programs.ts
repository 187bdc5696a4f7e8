/** A market of separate programs, as people start them; any of them can be killed without warning. */
import { spawn, type ChildProcess } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { placeDatabase, preparedCache } from "../shared.ts";
import { freePort } from "../support/free-port.ts";
import { until } from "../until.ts";
import { endGuests } from "./guests.ts";
import { BROKER_HEAP, WASM_ALONE } from "./settings.ts";

const CLI = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
const PATIENT_BROKER = path.join(import.meta.dirname, "broker-program.ts");

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
  /** What the latest server has told its owner. */
  server: Done = { code: null, stdout: "", stderr: "" };
  /** Where everybody knows it, also while it is away. */
  readonly #port: string;
  url = "";

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.#port = String(port);
  }

  static async open(serverToml = WASM_ALONE): Promise<Programs> {
    const programs = new Programs(await mkdtemp(path.join(tmpdir(), "xeno-kill-")), await freePort());
    await placeDatabase(programs.at("broker"));
    await programs.place("server", serverToml);
    return programs;
  }

  /** The folder of a server that is not enrolled yet. */
  async place(name: string, serverToml: string): Promise<void> {
    await cp(await preparedCache(this.folder), path.join(this.at(name), "prepared"), { recursive: true });
    await writeFile(path.join(this.at(name), "xenoserver.toml"), serverToml);
  }

  /** `xeno ARGS` by that person. */
  xeno(who: string, args: string[]): Started {
    return this.#start(who, [CLI, ...args]);
  }

  #start(who: string, args: string[], level = "warn", stdin: "ignore" | "pipe" = "ignore", before: string[] = []): Started {
    const env = { ...process.env, XENO_HOME: path.join(this.folder, who), LOG_LEVEL: level, NO_COLOR: "1", DATABASE_URL: undefined };
    const [program = "", ...words] = [...before, process.execPath, ...args];
    const child = spawn(program, words, { env, stdio: [stdin, "pipe", "pipe"] });
    const seen: Done = { code: null, stdout: "", stderr: "" };
    child.stdout?.on("data", (chunk: Buffer) => (seen.stdout += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (seen.stderr += chunk.toString()));
    return { child, seen, done: new Promise((resolve) => child.on("close", (code) => resolve(((seen.code = code), { ...seen })))) };
  }

  /** The same, whose standard input is the test's to write. */
  xenoFed(who: string, args: string[]): Started {
    return this.#start(who, [CLI, ...args], "warn", "pipe");
  }

  /** What it printed. Throws where it fails. */
  async ok(who: string, args: string[]): Promise<string> {
    const done = await this.xeno(who, args).done;
    if (done.code !== 0) throw new Error(`xeno ${args.join(" ")}: ${done.code}\n${done.stdout}${done.stderr}`);
    return done.stdout;
  }

  async #printed({ seen, done, child }: Started, word: string): Promise<ChildProcess> {
    let over = false;
    void done.then(() => (over = true));
    await until(() => over || seen.stdout.includes(word));
    if (over) throw new Error(`ended before it said ${word}: ${seen.stdout}${seen.stderr}`);
    return child;
  }

  startBroker(): Promise<ChildProcess> {
    return this.#broker(this.#start("operator", [BROKER_HEAP, PATIENT_BROKER, this.at("broker"), this.#port]));
  }

  /** As an operator starts it. */
  async startBrokerByHand(): Promise<ChildProcess> {
    return (await this.startBrokerBy([])).child;
  }

  /** The same by a program, such as `unshare`, that then becomes it. */
  async startBrokerBy(before: string[]): Promise<Started> {
    const words = [CLI, "broker", "--data", this.at("broker"), "--port", this.#port, "--json"];
    const started = this.#start("operator", words, "warn", "ignore", before);
    await this.#broker(started);
    return started;
  }

  async #broker(started: Started): Promise<ChildProcess> {
    await this.#printed(started, "}\n");
    this.url = (JSON.parse(started.seen.stdout) as { url: string }).url;
    return started.child;
  }

  async startServer(...args: string[]): Promise<ChildProcess> {
    const child = await this.serve(...args);
    await this.isListed();
    return child;
  }

  /** Resolves when it runs, listed or not. */
  async serve(...args: string[]): Promise<ChildProcess> {
    const started = this.#served("server", args);
    this.server = started.seen;
    return this.#printed(started, "serves");
  }

  /** One beside it, in a folder of that name. */
  async serveIn(name: string, ...args: string[]): Promise<Started> {
    const started = this.#served(name, args);
    await this.#printed(started, "serves");
    return started;
  }

  #served(name: string, args: string[]): Started {
    return this.#start("owner", [CLI, "serve", "--data", this.at(name), ...args], "info");
  }

  isListed(): Promise<void> {
    return until(async () => (await (await fetch(new URL("/api/v1/offers", this.url))).text()).includes('"server":"s_'));
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

  async remove(): Promise<void> {
    await endGuests(this.folder);
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** What a command said, but that a broker takes its time, which says nothing of the command. */
export const complaints = (stderr: string): string =>
  stderr
    .split(/(?<=\n)/)
    .filter((line) => !/the broker at \S+ has not answered for a while/.test(line))
    .join("");

const gone = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve());
  });

export function kill9(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  return gone(child);
}

/** Told to end, it ends by itself. */
export function told(child: ChildProcess): Promise<void> {
  child.kill("SIGTERM");
  return gone(child);
}
