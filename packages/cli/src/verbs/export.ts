/** `xeno export`: everything the market knows of the party, as files. */
import { openMarket } from "../input/market.ts";
import type { ExportInput } from "../input/verbs/lease.ts";
import { print } from "../output/terminal.ts";
import { countOf } from "../output/ui.ts";

export async function exportAll({ folder }: ExportInput): Promise<void> {
  const { market } = await openMarket("read");
  const { leases } = await market.export(folder);
  print(`${countOf(leases, "lease")} with receipts, statement and accounts are in ${folder}`);
}
