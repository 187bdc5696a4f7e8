/**
 * A database of several hosts, of which one takes writes: `postgres://user@a:5432,b:5432/market`. `pg` knows one host; this tries each in
 * turn until it finds the one that is read-write, and goes on when that fails or is none any more. Who controls the inputs: the operator
 * (DATABASE_URL), and whoever answers at these addresses.
 */
import { Client, type ClientConfig } from "pg";

const ADDRESS = /^(postgres(?:ql)?:\/\/(?:[^@/?]*@)?)([^/?]*)(.*)$/s;

/** One address for each host of a database's address. */
export function hostsIn(url: string): [string, ...string[]] {
  const [, before = "", hosts = "", after = ""] = ADDRESS.exec(url) ?? [];
  const [first, ...others] = hosts.split(",").map((host) => `${before}${host.trim()}${after}`);
  return hosts.includes(",") && first !== undefined ? [first, ...others] : [url];
}

/** Which of the hosts is asked next. */
export class Hosts {
  readonly #all: readonly [string, ...string[]];
  #at = 0;

  constructor(url: string) {
    this.#all = hostsIn(url);
  }

  get current(): string {
    return this.#all[this.#at] ?? this.#all[0];
  }

  /** The one that was asked is gone, or takes no writes. */
  failed(asked: string): void {
    if (asked === this.current) this.#at = (this.#at + 1) % this.#all.length;
  }
}

/** As PostgreSQL itself says it of a write. */
class ReadOnlyError extends Error {
  readonly code = "25006";
}

type Connected = (error: Error | null, client?: Client) => void;

/** Clients for a pool, each connected to the host that takes writes. */
export function clientOf(hosts: Hosts): new (config?: ClientConfig) => Client {
  return class extends Client {
    readonly #address: string;

    constructor(config: ClientConfig = {}) {
      const address = hosts.current;
      super({ ...config, connectionString: address });
      this.#address = address;
      // while it is asked whether it takes writes nobody else listens
      this.on("error", () => {});
    }

    override connect(): Promise<Client>;
    override connect(connected: Connected): void;
    override connect(connected?: Connected): Promise<Client> | void {
      const reached = super.connect().then(() => this.#mustWrite());
      reached.catch(() => hosts.failed(this.#address)); // whoever waits is told below
      if (!connected) return reached;
      reached.then(
        () => connected(null, this),
        (error: Error) => connected(error),
      );
    }

    async #mustWrite(): Promise<Client> {
      const { rows } = await this.query<{ transaction_read_only: string }>("show transaction_read_only");
      if (rows[0]?.transaction_read_only === "off") return this;
      await this.end();
      throw new ReadOnlyError("this host of the database takes no writes now");
    }
  };
}
