/** Debian's nats-server on a loopback port of its own, which it keeps while it is killed and started again. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { until } from "../until.ts";

export const missing = ["nats-server", "openssl"].filter((name) => spawnSync(name, ["version"]).error !== undefined);

export class NatsServer {
  readonly folder: string;
  readonly #config: string;
  #port = -1;
  #process: ChildProcess | null = null;

  private constructor(folder: string, config: string) {
    this.folder = folder;
    this.#config = config;
  }

  /** `config`: what else is to stand in its configuration; FOLDER there is a folder of its own. */
  static async start(config = "", prepare: (folder: string) => Promise<void> = async () => {}): Promise<NatsServer> {
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-nats-"));
    await prepare(folder);
    const server = new NatsServer(folder, config.replaceAll("FOLDER", folder));
    await server.again();
    return server;
  }

  get place() {
    return { host: "127.0.0.1", port: this.#port };
  }

  async again(): Promise<void> {
    const ports = path.join(this.folder, "ports");
    await rm(ports, { recursive: true, force: true });
    const file = path.join(this.folder, "nats.conf");
    await writeFile(file, `listen: "127.0.0.1:${this.#port}"\nports_file_dir: "${this.folder}"\n${this.#config}\n`);
    const started = spawn("setpriv", ["--pdeathsig", "KILL", "nats-server", "-c", file], { stdio: ["ignore", "ignore", "pipe"] });
    this.#process = started;
    let said = "";
    started.stderr.setEncoding("utf8").on("data", (text: string) => (said += text));
    // it says that it is ready before the file is written, and the file is there before it is whole
    await until(async () => {
      if (started.exitCode !== null) throw new Error(`nats-server ended: ${said}`);
      const port = said.includes("Server is ready") ? await this.#writtenPort(started.pid) : null;
      this.#port = port ?? this.#port;
      return port !== null;
    });
  }

  /** Null while it is not written. */
  async #writtenPort(pid: number | undefined): Promise<number | null> {
    const written = (await readdir(this.folder)).find((name) => name.endsWith(`_${pid}.ports`));
    const [, port] =
      written === undefined ? [] : (/"nats":\s*\[\s*"[^"]*:(\d+)"/.exec(await readFile(path.join(this.folder, written), "utf8")) ?? []);
    return port === undefined ? null : Number(port);
  }

  async kill(): Promise<void> {
    const running = this.#process;
    this.#process = null;
    if (!running || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, "exit");
    running.kill("SIGKILL");
    await ended;
  }

  /** It hangs, with its connections open, until `signal` is SIGCONT. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void {
    this.#process?.kill(signal);
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** A stranger's connection, spoken to in NATS' own words; ends when it is closed. */
export async function stranger({ host, port }: { host: string; port: number }) {
  const socket = connect(port, host);
  let said = "";
  let pongs = 0;
  socket.setEncoding("latin1").on("data", (text: string) => {
    said += text;
    pongs = said.split("PONG\r\n").length - 1;
  });
  await once(socket, "connect");
  socket.write('CONNECT {"verbose":false}\r\n');
  let pings = 0;
  /** Returns once the server has read all that was written. */
  const flushed = async (): Promise<void> => {
    socket.write("PING\r\n");
    const wanted = ++pings;
    await until(() => pongs >= wanted);
  };
  await flushed();
  return {
    async publish(subject: string, payload: string, times: number): Promise<void> {
      const message = `PUB ${subject} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`;
      for (let i = 0; i < times; i++) if (!socket.write(message)) await once(socket, "drain");
      await flushed();
    },
    /** How many messages came for it. */
    async subscribe(subject: string): Promise<() => number> {
      socket.write(`SUB ${subject} 1\r\n`);
      await flushed();
      return () => said.split("\r\n").filter((line) => line.startsWith("MSG ")).length;
    },
    messages: (): string[] => said.split("\r\n").filter((line) => line.startsWith("MSG ")),
    flushed,
    close: () => void socket.destroy(),
  };
}
