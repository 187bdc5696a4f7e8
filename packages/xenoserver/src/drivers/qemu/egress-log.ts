/** Every connection of the guests of this server, in a file of its owner's. */
import { appendFile } from "node:fs/promises";
import path from "node:path";
import { readIfThere } from "@xenoservers/protocol/files";
import type { Connection } from "@xenoservers/guests";
import { z } from "zod";

type Log = (what: string, facts: Record<string, unknown>) => void;

const EGRESS_LOG = "egress.jsonl";
const zConnection: z.ZodType<Connection> = z.object({
  ...{ at: z.number(), endedAt: z.number(), lease: z.string() },
  ...{ address: z.string(), name: z.string().nullable(), port: z.number(), from: z.number(), bytes: z.number() },
});
const month = (at: number): string => new Date(at).toISOString().slice(0, 7);

/** What left the machine, for its owner: who was behind an address and a time, and how much of the month's allowance is used. */
export class EgressLog {
  readonly #folder: string;
  readonly #log: Log;
  #month = "";
  #bytes = 0;
  #written: Promise<void> = Promise.resolve();

  constructor(folder: string, log: Log) {
    this.#folder = folder;
    this.#log = log;
  }

  async open(): Promise<void> {
    this.#month = month(Date.now());
    for (const { endedAt, bytes } of await readEgressLog(this.#folder)) if (month(endedAt) === this.#month) this.#bytes += bytes;
  }

  record(connection: Connection): void {
    if (month(connection.endedAt) !== this.#month) {
      this.#month = month(connection.endedAt);
      this.#bytes = 0;
    }
    this.#bytes += connection.bytes;
    this.#written = this.#written
      .then(() => appendFile(path.join(this.#folder, EGRESS_LOG), `${JSON.stringify(connection)}\n`, { mode: 0o600 }))
      .catch((error: Error) =>
        this.#log("a guest's connection could not be written down", { lease: connection.lease, error: error.message }),
      );
  }

  /** Everything that was recorded is written. */
  written(): Promise<void> {
    return this.#written;
  }

  get bytesThisMonth(): number {
    return month(Date.now()) === this.#month ? this.#bytes : 0;
  }
}

function connectionOf(line: string, file: string): Connection {
  try {
    return zConnection.parse(JSON.parse(line));
  } catch (cause) {
    throw new Error(`${file} holds a line that is no connection of a guest's: ${line.slice(0, 200)}`, { cause });
  }
}

/** Every connection that guests made, oldest first. `folder`: the daemon's `vm` folder. */
export async function readEgressLog(folder: string): Promise<Connection[]> {
  const file = path.join(folder, EGRESS_LOG);
  const text = (await readIfThere(file)) ?? "";
  return text.split("\n").flatMap((line) => (line === "" ? [] : [connectionOf(line, file)]));
}
