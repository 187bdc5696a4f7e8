/**
 * The markets that this machine's customer knows, and as whom. Who controls the inputs: whoever writes to the customer's own folder or
 * sets the environment; the broker (what it shows of itself).
 */
import { KEY_ROLES, SCOPES, type Scope } from "@xenoservers/market";
import { jsonIn, rootAccountOf, samePins, zAccount, zParty, zPins } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { pinsOf } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import { assertWanted, unlessOff } from "../calling-off.ts";
import { MarketClient, fetchMarket, type Filed } from "../client.ts";
import { ContextError, InputError } from "../errors.ts";
import { identityOf } from "../identity.ts";
import { parseCiToken, zSeed, type CiToken } from "../ci-token.ts";
import { home } from "./home.ts";
import { keepDocument } from "./kept-documents.ts";
import { keepPromise } from "./kept-promises.ts";
import { whileLocked } from "./own-lock.ts";

/** Told what could not be kept here. */
type Warn = (text: string) => void;

const zContext = z.strictObject({
  url: z.string(),
  pins: zPins,
  currency: z.string(),
  party: zParty,
  /** That orders are paid from unless another is named. */
  account: zAccount,
  role: z.enum(KEY_ROLES),
  /** What its key was granted, for words before the market refuses; the market decides. */
  scopes: z.array(z.enum(SCOPES)),
  /** What the key is for, as its owner called it. */
  label: z.string(),
  /** The only label of leases that the key acts on; null: any. */
  leaseLabel: z.nullable(z.string()),
  seed: zSeed,
  /** Of root keys that this one took the place of: what opens the channels, and the sealed results, of leases that they ordered. */
  formerChannelSecrets: z.optional(z.array(zSeed)),
  /** Pinned at login: whose cosignatures on the log count. */
  witnesses: z.optional(z.array(z.strictObject({ name: z.string(), key: z.string().check(z.regex(/^[0-9a-f]{64}$/)) }))),
});
export type Context = z.infer<typeof zContext>;
export const zContexts = z.strictObject({ current: z.nullable(z.string()), contexts: z.record(z.string(), zContext) });
export type Contexts = z.infer<typeof zContexts>;

export async function readContexts(file = home.contexts): Promise<Contexts> {
  const text = await readIfThere(file);
  if (text === null) return { current: null, contexts: {} };
  const parsed = zContexts.safeParse(jsonIn(text));
  if (parsed.success) return parsed.data;
  const at = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new ContextError(
    `${file} is damaged${at === "" ? "" : ` (${at})`}, or was written by another version of xeno: use that one, or put it aside ` +
      "and restore a backup (`xeno key restore FILE`), or log in again",
  );
}

/** Two that read it and write what they read with one more would lose each other's key, with all that it owns. */
const lockOf = (file: string): string => `${file}.lock`;

/** All of it at once: whatever happens, what was there before is there, or what it is changed to. */
export async function changeContexts(change: (before: Contexts) => Contexts, file = home.contexts): Promise<void> {
  await whileLocked(lockOf(file), async () => writeWhole(file, JSON.stringify(change(await readContexts(file)), null, 1)));
}

/** And makes it the current one, or `current`. */
export async function saveContext(
  name: string,
  context: Context,
  { current = name, file = home.contexts }: { current?: string; file?: string } = {},
): Promise<void> {
  await changeContexts(({ contexts }) => ({ current, contexts: { ...contexts, [name]: context } }), file);
}

export const without = (contexts: Contexts["contexts"], name: string): Contexts["contexts"] =>
  Object.fromEntries(Object.entries(contexts).filter(([each]) => each !== name));

/** Removes one, and makes another the current. */
export async function dropContext(name: string, current: string, file = home.contexts): Promise<void> {
  await changeContexts(({ contexts }) => ({ current, contexts: without(contexts, name) }), file);
}

/** The one of that name, whatever a broker calls itself. */
export const contextCalled = (contexts: Contexts["contexts"], name: string): Context | undefined =>
  Object.hasOwn(contexts, name) ? contexts[name] : undefined;

/**
 * While a program makes a key, has the market take it and keeps it, no other program of this machine does so: it would lose one of them.
 * `signal`: ends the waiting for others, never what is under way. Throws InUseError where another does not come to its end.
 */
export async function whileKeysChange<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  assertWanted(signal);
  const { promise: isBegun, resolve: begin } = Promise.withResolvers<void>();
  const doing = whileLocked(`${home.contexts}.keys.lock`, () => {
    assertWanted(signal);
    begin();
    return work();
  });
  await unlessOff(signal, Promise.race([isBegun, doing]));
  return doing;
}

/** What a token says is enough to act in its market: nothing is written for it. Throws where the market shows other keys. */
async function contextOfToken(text: string): Promise<Context> {
  const token = parseCiToken(text);
  const market = await fetchMarket(token.url);
  if (!samePins(token.pins, pinsOf(market))) throw new ContextError("the broker shows other keys than the token pins; do not use it");
  return tokenContext(token, token.url, market.currency);
}

export function tokenContext({ pins, seed, key }: CiToken, url: string, currency: string): Context {
  const { party, role, label, scopes, account, leaseLabel } = key;
  return { url, pins, currency, party, account: account ?? rootAccountOf(party), role, scopes, label, leaseLabel, seed };
}

export interface Known {
  name: string;
  context: Context;
}

/** Of whom this program is the client: the context that is named, a token, or the one that was used last. */
export async function currentContext(asked: { context?: string; token?: string } = {}): Promise<Known> {
  const named = asked.context ?? (asked.token === undefined ? process.env["XENO_CONTEXT"] : undefined);
  const token = asked.token ?? process.env["XENO_TOKEN"];
  if (named === undefined && token !== undefined && token !== "") {
    const context = await contextOfToken(token).catch((error: unknown) => {
      // whoever has just logged in does not think of a variable that was set long ago
      if (asked.token !== undefined || !(error instanceof InputError)) throw error;
      throw new InputError(`${error.message}; XENO_TOKEN holds it, which goes before every context: unset it where that is not meant`);
    });
    return { name: "of the token", context };
  }
  const { current, contexts } = await readContexts();
  const name = named ?? current;
  const context = name === null ? undefined : contextCalled(contexts, name);
  if (name === null || !context)
    throw new ContextError(
      name === null ? "no market yet: run `xeno login URL` first" : `no context is called ${name}; see \`xeno context ls\``,
    );
  return { name, context };
}

/** A full disk undoes nothing that the broker took: whoever sent it goes on. */
function keepFiled(filed: Filed, warn: Warn): void {
  try {
    keepPromise(home.data, filed.promise);
    keepDocument(home.data, filed);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    warn(`the broker took the ${filed.document.kind}; it could not be kept here, so no check will miss it: ${why}`);
  }
}

export function clientOf(context: Context, warn: Warn): MarketClient {
  const { url, pins, seed, party, account, scopes, leaseLabel, formerChannelSecrets: former = [] } = context;
  const formerChannelSecrets = former.map((each) => Buffer.from(each, "hex"));
  const identity = identityOf(Buffer.from(seed, "hex"), { party, account, scopes, leaseLabel, formerChannelSecrets });
  const client = new MarketClient(url, pins, identity);
  client.onFiled = (filed) => keepFiled(filed, warn);
  return client;
}

/** Why this context's key does not do what is wanted, in words; null where it does. */
export function scopeProblem(name: string, { scopes, role }: Context, needs: readonly Scope[]): string | null {
  const missing = needs.filter((scope) => !scopes.includes(scope));
  if (missing.length === 0) return null;
  const only = `this takes a key that may ${missing.join(" and ")}; the ${role} key of the context ${name} may only ${scopes.join(", ")}`;
  const other = missing.includes("manage") ? "the root key can" : "the root key's owner can grant one: xeno token create --scopes …";
  return `${only}. Use another context (xeno context use NAME); ${other}`;
}

/** `needs`: what the key must be granted; said before anything is sent. */
export function clientFor({ name, context }: Known, needs: readonly Scope[], warn: Warn): MarketClient {
  const problem = scopeProblem(name, context, needs);
  if (problem !== null) throw new ContextError(problem);
  return clientOf(context, warn);
}
