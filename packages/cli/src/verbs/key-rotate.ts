/** `xeno key rotate`: a new root key in place of the old one, which is kept here until the market has taken it. */
import { randomBytes } from "node:crypto";
import { createSigner } from "@xenoservers/protocol/node";
import { currentContext, dropContext, openClient, saveContext } from "../input/home.ts";
import type { KeyRotateInput } from "../input/verbs/key.ts";
import { print, printJson } from "../output/terminal.ts";
import { shortId } from "../output/ui.ts";

export async function keyRotate({ json }: KeyRotateInput): Promise<void> {
  const { client, context } = await openClient("manage");
  const { name } = await currentContext();
  const seed = randomBytes(32);
  const newRootKey = createSigner(seed).publicKey;
  const next = { ...context, seed: seed.toString("hex") };
  await saveContext(`${name}.next`, next);
  await client.act("key-rotate", { party: client.identity.party, newRootKey, newRecoveryKey: null });
  await saveContext(name, next);
  await dropContext(`${name}.next`, name);
  if (json) return printJson({ key: newRootKey });
  print(`the root key is now ${shortId(newRootKey)}; make a new backup: xeno key backup FILE`);
}
