/** `xeno key rotate`: a new root key in place of the old one, which is kept here until the market has taken it. */
import { randomBytes } from "node:crypto";
import { isTakenLater } from "@xenoservers/protocol";
import { createSigner } from "@xenoservers/protocol/node";
import {
  type Context,
  RefusedError,
  channelSecretOf,
  currentContext,
  dropContext,
  readContexts,
  saveContext,
  shortId,
} from "@xenoservers/sdk";
import { clientOf, openClient } from "../input/client.ts";
import type { KeyRotateInput } from "../input/verbs/key.ts";
import { print, printJson } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

export async function keyRotate({ json }: KeyRotateInput): Promise<void> {
  await openClient("manage");
  const { name, context } = await currentContext();
  // one that came as a token has no place in the folder, either
  if (context.role !== "root") throw new UserError(`the ${context.role} key is no root key: its owner revokes it and grants another`);
  const next = (await takenBefore(name)) ?? (await rotated(name, context));
  // another context may be the one in use
  const current = (await readContexts()).current ?? name;
  await saveContext(name, next, { current });
  await dropContext(nextOf(name), current);
  const key = createSigner(Buffer.from(next.seed, "hex")).publicKey;
  if (json) return printJson({ key });
  print(`the root key is now ${shortId(key)}; make a new backup: xeno key backup FILE`);
}

const nextOf = (name: string): string => `${name}.next`;

/** The next key of a rotation that broke off after the market had taken it. */
async function takenBefore(name: string): Promise<Context | null> {
  const next = (await readContexts()).contexts[nextOf(name)];
  if (!next) return null;
  try {
    await clientOf(next).read("whoami");
    return next;
  } catch (error) {
    if (error instanceof RefusedError && error.refusal.code === "unknown_key") return null;
    throw error;
  }
}

/** The old key stays the current one until the market has said that it took the next. */
async function rotated(name: string, context: Context): Promise<Context> {
  const seed = randomBytes(32);
  const secret = Buffer.from(channelSecretOf(Buffer.from(context.seed, "hex"))).toString("hex");
  const formerChannelSecrets = [secret, ...(context.formerChannelSecrets ?? [])];
  const next = { ...context, seed: seed.toString("hex"), formerChannelSecrets };
  await saveContext(nextOf(name), next, { current: (await readContexts()).current ?? name });
  const newRootKey = createSigner(seed).publicKey;
  try {
    await clientOf(context).act("key-rotate", { party: context.party, newRootKey, newRecoveryKey: null });
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    if (isTakenLater(error.refusal.code))
      throw new UserError(
        "the market did not answer, and may have taken the new key or not: run `xeno key rotate` again, it goes on from here",
      );
    await dropContext(nextOf(name), name);
    throw error;
  }
  return next;
}
