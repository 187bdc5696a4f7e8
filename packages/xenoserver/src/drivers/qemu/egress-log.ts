/** Every connection of the guests of this server, in a file of its owner's. */
import { appendFile, open } from "node:fs/promises";
import path from "node:path";
import { ifThere } from "@xenoservers/protocol/files";
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
    let unreadable = 0;
    for await (const { endedAt, bytes } of readEgressLog(this.#folder, () => unreadable++))
      if (month(endedAt) === this.#month) this.#bytes += bytes;
    if (unreadable === 0) return;
    this.#log("lines of the record of guests' connections cannot be read", { file: this.#file, lines: unreadable });
    // the next connection begins a line of its own
    await appendFile(this.#file, "\n");
  }

  get #file(): string {
    return path.join(this.#folder, EGRESS_LOG);
  }

  record(connection: Connection): void {
    if (month(connection.endedAt) !== this.#month) {
      this.#month = month(connection.endedAt);
      this.#bytes = 0;
    }
    this.#bytes += connection.bytes;
    this.#written = this.#written
      .then(() => appendFile(this.#file, `${JSON.stringify(connection)}\n`, { mode: 0o600 }))
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

function connectionOf(line: string): Connection | null {
  try {
    return zConnection.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/**
 * Every connection that guests made, oldest first. `folder`: the daemon's `vm` folder. What is no connection, such as a line that was being
 * written when the power went, is told and passed over: neither the daemon nor a complaint waits for a person to mend the file.
 */
export async function* readEgressLog(folder: string, onUnreadable: (line: string) => void): AsyncGenerator<Connection> {
  const file = await ifThere(open(path.join(folder, EGRESS_LOG)));
  if (!file) return;
  for await (const line of file.readLines()) {
    const connection = connectionOf(line);
    if (connection) yield connection;
    else if (line !== "") onUnreadable(line);
  }
}
