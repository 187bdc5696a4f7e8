/** `xeno key revoke`, `xeno token revoke`: a key that says nothing any more, from this moment on. */
import { shortId } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import type { KeyRevokeInput } from "../input/verbs/key.ts";
import { print, printJson } from "../output/terminal.ts";

export async function keyRevoke({ key: wanted, reason, json }: KeyRevokeInput): Promise<void> {
  const { market } = await openMarket("manage");
  const { key, label } = await market.keys.revoke(wanted, { reason });
  if (json) printJson({ key, label, revoked: true });
  else print(`${shortId(key)} (${label}) is revoked; what it had open is cut`);
}
