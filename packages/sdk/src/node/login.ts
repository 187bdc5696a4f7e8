/**
 * A login: pins a market's keys on this machine, and makes an identity in it, or takes the one that a token is. Who controls the inputs:
 * the program that calls; the broker (the keys that it shows), which whoever compares the fingerprint need not trust.
 */
import { randomBytes } from "node:crypto";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { fingerprintOf, samePins, type Witness } from "@xenoservers/protocol";
import { pinsOf, type MarketInfo } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { assertWanted, unlessOff } from "../calling-off.ts";
import { parseCiToken, type CiToken } from "../ci-token.ts";
import { fetchMarket, type MarketClient } from "../client.ts";
import { ContextError, InputError, RefusedError } from "../errors.ts";
import { identityOf } from "../identity.ts";
import {
  clientOf,
  contextCalled,
  readContexts,
  saveContext,
  tokenContext,
  whileKeysChange,
  type Context,
  type Contexts,
} from "./contexts.ts";
import { assertFingerprint } from "./fingerprint.ts";
import { assertFolderFor } from "./folder-for.ts";
import { home } from "./home.ts";
import { marketHistory } from "./market-history.ts";
import { assertRuntime } from "./runtime.ts";

/** A market as it shows itself, before any of it is believed. */
export interface ShownMarket {
  origin: string;
  /** Of its keys, in groups of four letters: to compare with what its operator published. */
  fingerprint: string;
}

/** What a market that is new here is known by, and who logs in. One of `fingerprint`, `agree` and `token` is needed for the first login. */
export interface LoginOptions {
  /** As the market's operator published it, with or without its blanks: no other market is taken, and nobody is asked. */
  fingerprint?: string;
  /** Asked whether the fingerprint that is shown is the right one, where nothing else says so. */
  agree?(shown: ShownMarket): boolean | Promise<boolean>;
  /** A token of `xeno token create` or `market.tokens`, whose market is pinned in it; absent: a root key of one's own. */
  token?: string;
  /** What the market calls a party that is new to it (`customer`). */
  name?: string;
  /** The name that it is kept under on this machine; absent: the market's. */
  context?: string;
  /** Whose cosignatures on the market's log count; absent: those of the login before, if there was one. */
  witnesses?: readonly Witness[];
  /** Told how the market shows itself, before anybody is asked. */
  onMarket?(shown: ShownMarket): void;
  /** Told of each signed call before it is made. */
  onCall?: MarketClient["onCall"];
  /** Told where the broker takes its time to answer. */
  onSlow?: MarketClient["onSlow"];
  /** Told what could not be kept on this machine; absent: a warning of the process. */
  onWarning?(text: string): void;
  /** Ends it until its key is on its way to the market; that is waited for, and kept. */
  signal?: AbortSignal;
}

/** Who this machine's customer is in a market from now on: `Market.connect({ context: name })`. */
export interface LoggedIn {
  /** Of the context, which is the one in use from now on. */
  name: string;
  context: Context;
  fingerprint: string;
}

interface Asked {
  url: string;
  market: MarketInfo;
  token: CiToken | null;
  options: LoginOptions;
}

/**
 * Logs in to a market: `const { name } = await login("https://HOST", { fingerprint })`. `url`: one or several addresses; absent: those in
 * the token. Who has logged in to it before stays the same party. The keys are kept on this machine (`XENO_HOME`). Throws InputError where
 * it is another market than was named, or nobody says that it is the right one; ContextError where it would take another key's place.
 */
export async function login(url: string | undefined, options: LoginOptions = {}): Promise<LoggedIn> {
  assertRuntime();
  const { signal, onMarket } = options;
  assertWanted(signal);
  const token = options.token === undefined ? null : parseCiToken(options.token);
  const address = url ?? token?.url;
  if (!address) throw new InputError("name the market by its address, or give a token");
  // a key that is registered and cannot be kept is lost
  for (const folder of [path.dirname(home.contexts), home.data]) await assertFolderFor(folder, "XENO_HOME");
  const market = await unlessOff(signal, fetchMarket(address));
  const asked = { url: address, market, token, options };
  const shown = { origin: market.origin, fingerprint: fingerprintOf(nodeCrypto, pinsOf(market)) };
  if (token && !samePins(token.pins, pinsOf(market)))
    throw new ContextError("the broker shows other keys than the token pins; do not use it");
  const { earlier } = placeOf((await readContexts()).contexts, asked);
  if (options.fingerprint !== undefined)
    assertFingerprint(options.fingerprint, pinsOf(market), "there", "it is another market, or somebody stands between; nothing was pinned");
  onMarket?.(shown);
  if (!token && !earlier && options.fingerprint === undefined) await assertAgreed(shown, options);
  const kept = await whileKeysChange(signal, () => keptContext(asked));
  await marketHistory(address, market.origin); // kept before anything is at stake
  return { ...kept, fingerprint: shown.fingerprint };
}

/** Everything is checked against these keys from now on: somebody compares them once. */
async function assertAgreed(shown: ShownMarket, { agree, signal }: LoginOptions): Promise<void> {
  if (!agree)
    throw new InputError("nobody compares the market's fingerprint: give it as its operator published it, or a token; nothing was pinned");
  if (!(await unlessOff(signal, Promise.resolve(agree(shown))))) throw new InputError("nothing was pinned");
}

interface Place {
  name: string;
  /** What stands there. */
  earlier: Context | undefined;
}

/** A token can be made again, a person's own key cannot: where one stands under the market's name the token has a name beside it. */
function placeOf(contexts: Contexts["contexts"], { market, token, options }: Asked): Place {
  const usual = options.context ?? market.origin.split("/")[0] ?? "market";
  const at = (name: string): Place => {
    const earlier = contextCalled(contexts, name);
    if (earlier && !samePins(earlier.pins, pinsOf(market)))
      throw new ContextError(
        `the context ${name} pins other keys for this name; compare fingerprints with the operator, then keep it under another (--context)`,
      );
    return { name, earlier };
  };
  const first = at(usual);
  if (token === null || first.earlier?.role !== "root") return first;
  if (options.context !== undefined)
    throw new ContextError(`the context ${usual} holds your own key, which a token must not replace: give another --context`);
  const beside = at(`${usual}-${token.key.role}`);
  if (beside.earlier?.role === "root")
    throw new ContextError(`the context ${beside.name} holds your own key: give the token another --context`);
  return beside;
}

/** What stands here is looked at again: another program may have logged in meanwhile, and is the same party. */
async function keptContext(asked: Asked): Promise<Omit<LoggedIn, "fingerprint">> {
  const { url, market, token, options } = asked;
  const { name, earlier } = placeOf((await readContexts()).contexts, asked);
  const own = token ? tokenContext(token, url, market.currency) : earlier ? { ...earlier, url } : await register(asked);
  const context = options.witnesses === undefined ? own : { ...own, witnesses: [...options.witnesses] };
  await saveContext(name, context);
  return { name, context };
}

/** A new party; the same key again is the same party. */
async function register({ url, market, options }: Asked): Promise<Context> {
  const { name = "customer", onCall, onSlow, onWarning = (text) => process.emitWarning(text, "XenoWarning") } = options;
  const seed = randomBytes(32);
  const { party, account, signer } = identityOf(seed);
  const context: Context = {
    ...{ url, pins: pinsOf(market), currency: market.currency, party, account, role: "root", scopes: [...ROLE_SCOPES.root] },
    ...{ label: name, leaseLabel: null, seed: seed.toString("hex") },
  };
  const client = Object.assign(clientOf(context, onWarning), { ...(onCall ? { onCall } : {}), ...(onSlow ? { onSlow } : {}) });
  try {
    await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
  } catch (error) {
    if (!(error instanceof RefusedError) || error.refusal.code !== "id_reused") throw error;
  }
  return context;
}
