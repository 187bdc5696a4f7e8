/** `xeno login URL`: pins a market's keys and makes (or takes) an identity in it. */
import { randomBytes } from "node:crypto";
import path from "node:path";
import { confirm, isCancel } from "@clack/prompts";
import { ROLE_SCOPES } from "@xenoservers/market";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import {
  type CiToken,
  type Context,
  RefusedError,
  fetchMarket,
  fingerprintOf,
  home,
  identityOf,
  parseCiToken,
  pinsOf,
  readContexts,
  samePins,
  saveContext,
  tokenContext,
} from "@xenoservers/sdk";
import { clientOf } from "../input/client.ts";
import { assertFingerprint } from "../input/fingerprint.ts";
import { parseWitness } from "../input/parse.ts";
import type { LoginInput } from "../input/verbs/login.ts";
import { assertFolderFor } from "../local/folder-for.ts";
import { noteWords } from "../output/completion-words.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";
import { marketHistory } from "../proof/market-history.ts";

/** Everything is checked against these keys from now on: a person compares them once. */
async function confirmed(fingerprint: string, market: MarketInfo, ask: boolean): Promise<void> {
  say(`market       ${market.origin}`);
  say(`fingerprint  ${fingerprint}`);
  say("Compare the fingerprint with what the operator published: everything is checked against these keys from now on.");
  if (!ask) return;
  if (!process.stdin.isTTY)
    throw new UserError("nobody is here to compare it: give --fingerprint, as the operator published it, or --token; nothing was pinned");
  const agreed = await confirm({ message: "Is it the same?" });
  if (isCancel(agreed) || !agreed) throw new UserError("nothing was pinned");
}

export async function login(input: LoginInput): Promise<void> {
  const token = input.token === null ? null : parseCiToken(input.token);
  const address = input.url ?? token?.url;
  if (!address) throw new UserError("name the market: `xeno login URL`, or give --token");
  // a key that is registered and cannot be kept is lost
  for (const folder of [path.dirname(home.contexts), home.data]) await assertFolderFor(folder, "XENO_HOME");
  const market = await fetchMarket(address);
  const pins = pinsOf(market);
  const fingerprint = fingerprintOf(nodeCrypto, pins);
  if (token && !samePins(token.pins, pins)) throw new UserError("the broker shows other keys than the token pins; do not use it");
  const { contexts } = await readContexts();
  const usual = input.context ?? market.origin.split("/")[0] ?? "market";
  assertPinned(contexts, usual, pins);
  const name = token === null ? usual : placeFor(token, contexts, usual, input.context === null);
  assertPinned(contexts, name, pins);
  const earlier = contexts[name];
  if (input.fingerprint !== null)
    assertFingerprint(input.fingerprint, pins, "there", "it is another market, or somebody stands between; nothing was pinned");
  await confirmed(fingerprint, market, !token && !earlier && !input.yes && input.fingerprint === null);
  const context = await contextFor(address, market, token, earlier, input.name ?? process.env["USER"] ?? "customer");
  if (input.witness.length > 0) context.witnesses = input.witness.map(parseWitness);
  await saveContext(name, context);
  await noteWords(home.data, "contexts", Object.keys((await readContexts()).contexts));
  await marketHistory(address, market.origin); // kept before anything is at stake
  if (input.json) printJson({ context: name, party: context.party, account: context.account, scopes: context.scopes, fingerprint });
  else print(`you are ${context.party} in ${name}${token ? `, with a ${context.role} key that may ${context.scopes.join(", ")}` : ""}`);
}

type Contexts = Readonly<Record<string, Context>>;

function assertPinned(contexts: Contexts, name: string, pins: Context["pins"]): void {
  if (contexts[name] && !samePins(contexts[name].pins, pins))
    throw new UserError(
      `the context ${name} pins other keys for this name; compare fingerprints with the operator, then use --context OTHER`,
    );
}

/** A token can be made again, a person's own key cannot: where one stands under the market's name the token has a name beside it. */
function placeFor({ key }: CiToken, contexts: Contexts, usual: string, isFree: boolean): string {
  if (contexts[usual]?.role !== "root") return usual;
  if (!isFree) throw new UserError(`the context ${usual} holds your own key, which a token must not replace: give another --context`);
  const name = `${usual}-${key.role}`;
  if (contexts[name]?.role === "root") throw new UserError(`the context ${name} holds your own key: give the token another --context`);
  return name;
}

async function contextFor(
  url: string,
  market: MarketInfo,
  token: CiToken | null,
  earlier: Context | undefined,
  name: string,
): Promise<Context> {
  if (!token) return earlier ? { ...earlier, url } : register(url, market, name);
  return tokenContext(token, url, market.currency);
}

/** A new party; the same key again is the same party. */
async function register(url: string, market: MarketInfo, name: string): Promise<Context> {
  const seed = randomBytes(32);
  const { party, account, signer } = identityOf(seed);
  const context: Context = {
    ...{ url, pins: pinsOf(market), currency: market.currency, party, account, role: "root", scopes: [...ROLE_SCOPES.root] },
    ...{ label: name, leaseLabel: null, seed: seed.toString("hex") },
  };
  try {
    await clientOf(context).act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
  } catch (error) {
    if (!(error instanceof RefusedError) || error.refusal.code !== "id_reused") throw error;
  }
  return context;
}
