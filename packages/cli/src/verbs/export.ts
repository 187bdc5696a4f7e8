/** `xeno export`: everything the market knows of the party, as files. Lists are written as they come, however long they are. */
import { open, writeFile } from "node:fs/promises";
import path from "node:path";
import { keepParts, listOf, readDocuments } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { ExportInput } from "../input/verbs/lease.ts";
import { folderFor } from "../local/folder-for.ts";
import { print } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

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

export async function exportAll({ folder }: ExportInput): Promise<void> {
  const { client } = await openClient("read");
  await folderFor(folder, "xeno export FOLDER");
  const put = (name: string, value: unknown): Promise<void> =>
    writeFile(path.join(folder, name), JSON.stringify(value, null, 1), { mode: 0o600 });
  await put("party.json", await client.read("whoami"));
  await put("accounts.json", await client.read("accounts"));
  await writeList(path.join(folder, "statement.json"), "entries", listOf(client, "statement", {}));
  let leases = 0;
  async function* withReceipts() {
    for await (const lease of listOf(client, "leases", {})) {
      const receipt = await readDocuments(client, lease.id);
      if (receipt.hasMore) await keepParts(client, lease.id, path.join(folder, `receipt-${lease.id}.jsonl`), { now: receipt });
      else await put(`receipt-${lease.id}.json`, receipt);
      leases++;
      yield lease;
    }
  }
  await writeList(path.join(folder, "leases.json"), "leases", withReceipts());
  await put("checkpoint.json", { checkpoint: await client.read("checkpoint") });
  print(`${countOf(leases, "lease")} with receipts, statement and accounts are in ${folder}`);
}
