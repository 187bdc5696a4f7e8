/** `xeno token list`: the keys that were delegated. */
import { openMarket } from "../input/market.ts";
import type { TokenListInput } from "../input/verbs/token.ts";
import { keyTable } from "../output/key-table.ts";
import { printJson, say } from "../output/terminal.ts";
import { putTimesAs } from "../output/ui.ts";

export async function tokenList({ all, timeFormat, json }: TokenListInput): Promise<void> {
  putTimesAs(timeFormat);
  const { market, context } = await openMarket("read");
  const shown = await market.tokens.list({ all });
  if (json) return printJson({ tokens: shown });
  if (shown.length === 0)
    return say(`no token stands${all ? "" : " (--all shows revoked and expired ones)"}; make one with: xeno token create`);
  keyTable(shown, market.client.identity.signer.publicKey, context.currency);
}
