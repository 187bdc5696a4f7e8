/** `xeno export`: everything the market knows of the party, as files. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { openClient } from "../input/home.ts";
import type { ExportInput } from "../input/verbs/lease.ts";
import { print } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

export async function exportAll({ folder }: ExportInput): Promise<void> {
  const { client } = await openClient("read");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [me, accounts, statement, { leases }] = await Promise.all([
    client.read("whoami"),
    client.read("accounts"),
    client.read("statement", { query: { limit: 1000 } }),
    client.read("leases", { query: { limit: 1000 } }),
  ]);
  const put = (name: string, value: unknown): Promise<void> =>
    writeFile(path.join(folder, name), JSON.stringify(value, null, 1), { mode: 0o600 });
  await Promise.all([put("party.json", me), put("accounts.json", accounts), put("statement.json", statement), put("leases.json", leases)]);
  for (const lease of leases) await put(`receipt-${lease.id}.json`, await client.read("receipt", { params: { id: lease.id } }));
  await put("checkpoint.json", { checkpoint: await client.read("checkpoint") });
  print(`${countOf(leases.length, "lease")} with receipts, statement and accounts are in ${folder}`);
}
