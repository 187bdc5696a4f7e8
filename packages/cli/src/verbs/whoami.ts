/** `xeno whoami`: the party, and every key that speaks for it. */
import { openClient } from "../input/client.ts";
import type { WhoamiInput } from "../input/verbs/key.ts";
import { keyTable } from "../output/key-table.ts";
import { print, printJson } from "../output/terminal.ts";

export async function whoami({ json }: WhoamiInput): Promise<void> {
  const { client, context } = await openClient("read");
  const me = await client.read("whoami");
  if (json) return printJson(me);
  print(`${me.name}  ${me.party}${me.suspended ? "  SUSPENDED" : ""}`);
  print(`market  ${context.pins.origin} at ${context.url}`);
  keyTable(me.keys, client.identity.signer.publicKey, context.currency);
}
