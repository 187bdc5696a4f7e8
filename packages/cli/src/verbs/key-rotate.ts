/** `xeno key rotate`: a new root key in place of the old one. */
import { shortId } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import type { KeyRotateInput } from "../input/verbs/key.ts";
import { print, printJson } from "../output/terminal.ts";

export async function keyRotate({ json }: KeyRotateInput): Promise<void> {
  const { market } = await openMarket("manage");
  const { key } = await market.keys.rotate();
  if (json) return printJson({ key });
  print(`the root key is now ${shortId(key)}; make a new backup: xeno key backup FILE`);
}
