/** `xeno login URL`: pins a market's keys and makes (or takes) an identity in it. */
import { randomBytes } from "node:crypto";
import { confirm, isCancel } from "@clack/prompts";
import { MarketClient, RefusedError, fetchMarket, fingerprintOf, identityOf, pinsOf } from "@xenoservers/sdk";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { readContexts, saveContext, type Context } from "../input/home.ts";
import { parseCiToken } from "../input/ci-token.ts";
import { parseWitness } from "../input/parse.ts";
import { UserError, print, printJson, say } from "../output/ui.ts";

export interface LoginOptions {
  name?: string;
  context?: string;
  token?: string;
  witness: string[];
  yes?: boolean;
  json?: boolean;
}

export async function login(url: string | undefined, options: LoginOptions): Promise<void> {
  const token = options.token === undefined ? null : parseCiToken(options.token);
  const address = url ?? token?.url;
  if (!address) throw new UserError("name the market: `xeno login URL`, or give --token");
  const market = await fetchMarket(address);
  const pins = pinsOf(market);
  const fingerprint = fingerprintOf(nodeCrypto, pins);
  if (token && JSON.stringify(token.pins) !== JSON.stringify(pins)) throw new UserError("the broker shows other keys than the token pins; do not use it");
  const name = options.context ?? market.origin.split("/")[0]!;
  const earlier = (await readContexts()).contexts[name];
  if (earlier && JSON.stringify(earlier.pins) !== JSON.stringify(pins))
    throw new UserError(`the context ${name} pins other keys for this name; compare fingerprints with the operator, then use --context OTHER`);
  say(`market       ${market.origin}`);
  say(`fingerprint  ${fingerprint}`);
  say("Compare the fingerprint with what the operator published: everything is checked against these keys from now on.");
  if (!token && !earlier && options.yes !== true && process.stdin.isTTY) {
    const agreed = await confirm({ message: "Is it the same?" });
    if (isCancel(agreed) || !agreed) throw new UserError("nothing was pinned");
  }
  let context: Context;
  if (token) context = { url: address, pins, currency: market.currency, party: token.party, account: token.account, role: "ci", seed: token.seed };
  else if (earlier) context = { ...earlier, url: address };
  else context = await register(address, market.currency, pins, options.name ?? process.env["USER"] ?? "customer");
  if (options.witness.length > 0) context.witnesses = options.witness.map(parseWitness);
  await saveContext(name, context);
  if (options.json) printJson({ context: name, party: context.party, account: context.account, fingerprint });
  else print(`you are ${context.party} in ${name}`);
}

async function register(url: string, currency: string, pins: Context["pins"], name: string): Promise<Context> {
  const seed = randomBytes(32);
  const identity = identityOf(seed);
  const client = new MarketClient(url, pins, identity);
  const context: Context = { url, pins, currency, party: identity.party, account: identity.account, role: "root", seed: seed.toString("hex") };
  try {
    await client.act("party", { party: identity.party, name, rootKey: identity.signer.publicKey, recoveryKey: null });
  } catch (error) {
    if (!(error instanceof RefusedError) || error.refusal.code !== "id_reused") throw error;
  }
  return context;
}
