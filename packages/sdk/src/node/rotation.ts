/**
 * A new root key in place of the one that a context of this machine holds. The old one stays in use until it is known that the market has
 * taken the next, which lies beside it from before it is sent: whenever the program ends, none is lost that the market may know. Who
 * controls the inputs: the broker (whether it takes the key, and says so); whoever writes to the customer's own folder.
 */
import { randomBytes } from "node:crypto";
import { isTakenLater, toHex } from "@xenoservers/protocol";
import { assertWanted } from "../calling-off.ts";
import type { MarketClient } from "../client.ts";
import { ContextError, RefusedError } from "../errors.ts";
import { channelSecretOf, identityOf } from "../identity.ts";
import { changeContexts, contextCalled, readContexts, whileKeysChange, without, type Context, type Known } from "./contexts.ts";

interface Rotation {
  name: string;
  context: Context;
  /** The next key of a rotation that broke off; the market may have taken it, or may still. */
  left: Context | undefined;
  clientOf(context: Context): MarketClient;
}

const nextOf = (name: string): string => `${name}.next`;

/** Throws ContextError where it holds no root key. `clientOf`: speaks for a context. */
export async function rotateRoot({ name, context }: Known, clientOf: Rotation["clientOf"], signal?: AbortSignal): Promise<Context> {
  // one that came as a token has no place in the folder, either
  if (context.role !== "root") throw new ContextError(`the ${context.role} key is no root key: its owner revokes it and grants another`);
  return whileKeysChange(signal, async () => {
    const { contexts } = await readContexts();
    const [now, left] = [contextCalled(contexts, name), contextCalled(contexts, nextOf(name))];
    if (now?.role !== "root" || now.party !== context.party)
      throw new ContextError(`the context ${name} is another now: connect again by its name`);
    if (left && (left.role !== "root" || left.party !== context.party))
      throw new ContextError(
        `the next key would take the place of the context ${nextOf(name)}, which is another's: log in to that again by another name`,
      );
    const rotation = { name, context: now, left, clientOf };
    const next = await taken(rotation, signal);
    await changeContexts((before) => ({
      // another context may be the one in use
      current: before.current ?? name,
      contexts: { ...without(before.contexts, nextOf(name)), [name]: next },
    }));
    return next;
  });
}

async function isTaken({ clientOf }: Rotation, next: Context): Promise<boolean> {
  try {
    await clientOf(next).read("whoami");
    return true;
  } catch (error) {
    if (error instanceof RefusedError && error.code === "unknown_key") return false;
    throw error;
  }
}

/** The next key, once the market has taken it. */
async function taken(rotation: Rotation, signal: AbortSignal | undefined): Promise<Context> {
  const { name, context, left, clientOf } = rotation;
  if (left?.seed === context.seed) return context;
  const secret = toHex(channelSecretOf(Buffer.from(context.seed, "hex")));
  const formerChannelSecrets = [secret, ...(context.formerChannelSecrets ?? [])];
  // what is sent again is the same key: the broker may come to what was sent first at any time
  const next = { ...context, seed: left?.seed ?? randomBytes(32).toString("hex"), formerChannelSecrets };
  if (left && (await isTaken(rotation, next))) return next;
  assertWanted(signal);
  if (!left)
    await changeContexts(({ current, contexts }) => ({ current: current ?? name, contexts: { ...contexts, [nextOf(name)]: next } }));
  const { publicKey: newRootKey } = identityOf(Buffer.from(next.seed, "hex")).signer;
  try {
    await clientOf(context).act("key-rotate", { party: context.party, newRootKey, newRecoveryKey: null });
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    if (isTakenLater(error.code) || error.money === "unknown") throw unheard(error);
    if (left && (await isTaken(rotation, next))) return next;
    // one that was sent before may still be taken
    if (!left) await changeContexts(({ current, contexts }) => ({ current, contexts: without(contexts, nextOf(name)) }));
    throw error;
  }
  return next;
}

function unheard(error: RefusedError): RefusedError {
  const why = "the market did not answer, and may have taken the new key or not: run `xeno key rotate` again, it goes on from here";
  return new RefusedError({ ...error.refusal, facts: { ...error.facts, why } }, { cause: error });
}
