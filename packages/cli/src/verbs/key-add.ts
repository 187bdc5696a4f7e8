/** `xeno key add`: a key for another device, which speaks for the party in everything but its keys and its money out. */
import { openMarket } from "../input/market.ts";
import type { KeyAddInput } from "../input/verbs/key.ts";
import { print, printJson, say } from "../output/terminal.ts";

export async function keyAdd({ label, json }: KeyAddInput): Promise<void> {
  const { market } = await openMarket("manage");
  const { key, token } = await market.keys.add(label);
  if (json) return printJson({ key, token });
  say(`a key for the device '${label}'; on it run: xeno login --token …`);
  print(token);
}
