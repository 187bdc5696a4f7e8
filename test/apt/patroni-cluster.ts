/** Two PostgreSQL servers under Patroni, with etcd beside them, each killed whole as a machine that dies would be. Of Debian's packages. */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { freePort } from "../support/free-port.ts";
import { until } from "../until.ts";

const PG_BIN = "/usr/lib/postgresql/15/bin";
const NEEDED = ["/usr/bin/patroni", "/usr/bin/etcd", `${PG_BIN}/postgres`];
export const missing = NEEDED.filter((file) => !existsSync(file));

/** The least that Patroni takes. */
const FAILOVER = { ttl: 20, loop_wait: 1, retry_timeout: 3, maximum_lag_on_failover: 1_048_576 };
const PASSWORD = "for-this-test";

const asUser = (command: readonly string[]): string[] =>
  process.getuid?.() === 0 ? ["unshare", "--user", "--map-user=65534", "--map-group=65534", "--", ...command] : [...command];

interface Node {
  name: string;
  folder: string;
  port: number;
  api: string;
  patroni: ChildProcess;
}

export class PatroniCluster {
  readonly #folder: string;
  readonly #etcd: ChildProcess;
  readonly nodes: Node[] = [];
  #said = "";

  private constructor(folder: string, etcd: ChildProcess) {
    this.#folder = folder;
    this.#etcd = etcd;
  }

  /** Up, with a standby that every commit waits for. */
  static async open(): Promise<PatroniCluster> {
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-patroni-"));
    const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
    const etcd = spawn(
      "/usr/bin/etcd",
      [
        ...["--data-dir", path.join(folder, "etcd"), "--listen-client-urls", client, "--advertise-client-urls", client],
        ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
      ],
      { stdio: "ignore" },
    );
    const cluster = new PatroniCluster(folder, etcd);
    await until(() => answers(`${client}/health`));
    for (const name of ["one", "two"]) {
      await cluster.#start(name, new URL(client).host);
      await until(async () => (await cluster.primary()) !== null);
    }
    await until(async () => (await Promise.all(cluster.nodes.map(({ api }) => answers(`${api}/sync`)))).includes(true));
    return cluster;
  }

  /** For DATABASE_URL: both hosts. */
  get url(): string {
    return `postgres://xeno:${PASSWORD}@${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(",")}/postgres`;
  }

  async #start(name: string, etcd: string): Promise<void> {
    const folder = path.join(this.#folder, name);
    await mkdir(folder, { mode: 0o700 });
    const [port, rest] = [await freePort(), await freePort()];
    const config = {
      ...{ scope: "market", name, etcd3: { hosts: etcd } },
      restapi: { listen: `127.0.0.1:${rest}`, connect_address: `127.0.0.1:${rest}` },
      bootstrap: {
        dcs: { ...FAILOVER, synchronous_mode: true, postgresql: { use_pg_rewind: false, parameters: { max_connections: 60 } } },
        initdb: [{ encoding: "UTF8" }, { locale: "C" }],
        pg_hba: ["host all all 127.0.0.1/32 scram-sha-256", "host replication all 127.0.0.1/32 scram-sha-256"],
      },
      postgresql: {
        ...{ listen: `127.0.0.1:${port}`, connect_address: `127.0.0.1:${port}`, data_dir: path.join(folder, "data"), bin_dir: PG_BIN },
        pgpass: path.join(folder, "pgpass"),
        authentication: {
          superuser: { username: "xeno", password: PASSWORD },
          replication: { username: "copies", password: PASSWORD },
        },
        parameters: { unix_socket_directories: folder },
      },
    };
    await writeFile(path.join(folder, "patroni.json"), JSON.stringify(config));
    const [command = "", ...args] = asUser(["setpriv", "--pdeathsig", "TERM", "/usr/bin/patroni", path.join(folder, "patroni.json")]);
    const patroni = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [patroni.stdout, patroni.stderr])
      stream.on("data", (chunk: Buffer) => (this.#said = (this.#said + chunk.toString()).slice(-20_000)));
    this.nodes.push({ name, folder, port, api: `http://127.0.0.1:${rest}`, patroni });
  }

  /** What both said last, for whoever looks for what went wrong. */
  get said(): string {
    return this.#said;
  }

  async primary(): Promise<Node | null> {
    for (const node of this.nodes) if (await answers(`${node.api}/primary`)) return node;
    return null;
  }

  /** The whole node, without a word to anybody. */
  async kill(node: Node): Promise<void> {
    node.patroni.kill("SIGKILL");
    await endPostgres(node, "SIGKILL");
  }

  async close(): Promise<void> {
    for (const node of this.nodes) {
      node.patroni.kill("SIGKILL");
      await endPostgres(node, "SIGQUIT");
    }
    this.#etcd.kill("SIGKILL");
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
}

async function endPostgres({ folder }: Node, signal: "SIGKILL" | "SIGQUIT"): Promise<void> {
  const text = await readFile(path.join(folder, "data", "postmaster.pid"), "utf8").catch(() => "");
  const pid = Number(text.split("\n")[0]);
  if (!(pid > 0)) return;
  try {
    process.kill(pid, signal);
    await until(() => !existsSync(`/proc/${pid}`));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    async (response) => {
      await response.arrayBuffer();
      return response.ok;
    },
    () => false,
  );
