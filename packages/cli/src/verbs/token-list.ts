/** `xeno token list`: the keys that were delegated. */
import { openClient } from "../input/client.ts";
import type { TokenListInput } from "../input/verbs/token.ts";
import { keyTable } from "../output/key-table.ts";
import { printJson, say } from "../output/terminal.ts";
import { putTimesAs } from "../output/ui.ts";

const DELEGATED = ["ci", "device", "enrol"];

export async function tokenList({ all, timeFormat, json }: TokenListInput): Promise<void> {
  putTimesAs(timeFormat);
  const { client, context } = await openClient("read");
  const { keys } = await client.read("whoami");
  const now = client.timers.now();
  const standing = keys.filter(({ revokedAt, expiresAt }) => revokedAt === null && (expiresAt === null || expiresAt > now));
  const shown = (all ? keys : standing).filter(({ role }) => DELEGATED.includes(role));
  if (json) return printJson({ tokens: shown });
  if (shown.length === 0)
    return say(`no token stands${all ? "" : " (--all shows revoked and expired ones)"}; make one with: xeno token create`);
  keyTable(shown, client.identity.signer.publicKey, context.currency);
}
