/** `xeno key list`: the keys that speak for the party, its root key among them. */
import { openMarket } from "../input/market.ts";
import type { KeyListInput } from "../input/verbs/key.ts";
import { keyStands, keyTable } from "../output/key-table.ts";
import { printJson } from "../output/terminal.ts";
import { putTimesAs } from "../output/ui.ts";

export async function keyList({ all, timeFormat, json }: KeyListInput): Promise<void> {
  putTimesAs(timeFormat);
  const { market, context } = await openMarket("read");
  const keys = await market.keys.list();
  const shown = all ? keys : keys.filter(keyStands);
  if (json) return printJson({ keys: shown });
  keyTable(shown, market.client.identity.signer.publicKey, context.currency);
}
