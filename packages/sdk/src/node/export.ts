/**
 * Everything the market knows of a party, as files. Lists are written as they come, however long they are. Who controls the inputs: the
 * broker (how much there is, and what it says); this machine's disk.
 */
import { open, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { assertWanted, unlessOff } from "../calling-off.ts";
import type { MarketClient } from "../client.ts";
import type { Callable } from "../facade/market.ts";
import { cancellableReading } from "../facade/reading.ts";
import { listOf } from "../lists.ts";
import { readDocuments } from "../receipt.ts";
import { folderFor } from "./folder-for.ts";
import { keepParts } from "./receipts/receipt-parts.ts";

/** How an export is followed. */
export interface ExportOptions extends Callable {
  /** Told of each lease that is written with its receipt: how many there are so far. */
  onLease?(leases: number): void;
}

/** What was written to a folder. */
export interface Exported {
  /** So many, each with its receipt. */
  leases: number;
}

/** Writes `{"NAME":[…]}`, a row a line; what the file held before is gone. */
async function writeList(file: string, name: string, rows: AsyncIterable<unknown>): Promise<void> {
  const handle = await open(file, "w", 0o600);
  try {
    let lead = `{${JSON.stringify(name)}:[\n`;
    for await (const row of rows) {
      await handle.writeFile(`${lead}${JSON.stringify(row)}`);
      lead = ",\n";
    }
    await handle.writeFile(lead === ",\n" ? "\n]}\n" : `${lead}]}\n`);
  } finally {
    await handle.close();
  }
}

/** Where it is there, all is. */
const LAST = "checkpoint.json";

/** Throws InputError where nothing can be kept there. */
export async function exportTo(folder: string, client: MarketClient, { signal, onLease }: ExportOptions): Promise<Exported> {
  assertWanted(signal);
  await folderFor(folder, "xeno export FOLDER");
  const reading = cancellableReading(client, signal);
  const at = (name: string): string => path.join(folder, name);
  const put = (name: string, value: unknown): Promise<void> => writeFile(at(name), JSON.stringify(value, null, 1), { mode: 0o600 });
  await rm(at(LAST), { force: true });
  await put("party.json", await reading.read("whoami"));
  await put("accounts.json", await reading.read("accounts"));
  await writeList(at("statement.json"), "entries", listOf(reading, "statement", {}));
  let leases = 0;
  const calledOff = (error: unknown): never => {
    assertWanted(signal);
    throw error;
  };
  async function* withReceipts() {
    for await (const lease of listOf(reading, "leases", {})) {
      const now = await unlessOff(signal, readDocuments(client, lease.id));
      if (now.hasMore) await keepParts(client, lease.id, at(`receipt-${lease.id}.jsonl`), { now, signal }).catch(calledOff);
      else await put(`receipt-${lease.id}.json`, now);
      leases++;
      onLease?.(leases);
      yield lease;
    }
  }
  await writeList(at("leases.json"), "leases", withReceipts());
  await put(LAST, { checkpoint: await reading.read("checkpoint") });
  return { leases };
}
