/** A page that has loaded what is beyond one lease: it maps, and has what it doubts judged. The test calls what it hangs on the window. */
import { Market, MarketClient, fetchMarket, identityOf, pinsOf, type RunInput } from "@xenoservers/sdk";
import { beyond } from "@xenoservers/sdk/beyond";

let market: Market;

/** A new party of the market at that address, which goes on by a token of its own. */
async function login(url: string): Promise<string> {
  const identity = identityOf(crypto.getRandomValues(new Uint8Array(32)));
  const { party, signer } = identity;
  const client = new MarketClient(url, pinsOf(await fetchMarket(url)), identity);
  await client.act("party", { party, name: "a page of many jobs", rootKey: signer.publicKey, recoveryKey: null });
  const scopes = ["spend", "control", "read", "dispute"] as const;
  const { token } = await Market.of(client).tokens.create({ label: "of the page", scopes: [...scopes], maxPerDay: "1.00" });
  market = await Market.connect({ token, beyond });
  return party;
}

/** Runs the script once for each number, three at once, and gives what each came to, in order. */
async function mapped(source: string, inputs: readonly number[]) {
  const template: RunInput = { python: { source }, maxTime: "1m", mem: "256M", disk: "16M", label: "from a page" };
  const run = market.map(inputs, template, { parallel: 3, budget: "0.20", retries: 1 });
  const came = [];
  for await (const { ok, index, result } of run) {
    came.push({ ok, index, said: result?.stdout, exitCode: result?.exitCode, verified: result?.verification.ok });
  }
  const leases = new Set<string>();
  for await (const { id, label } of market.leases()) if (label === "from a page") leases.add(id);
  return { came, leases: leases.size };
}

/** What the market itself says, in place of the page. */
async function refusals(lease: string): Promise<string[]> {
  const said = (doing: Promise<unknown>): Promise<string> => doing.then(() => "done", String);
  return [
    await said(market.run({ python: { source: "" }, mem: "256M", replicas: 2 })),
    await said(market.dispute(lease)),
    await said(market.audit(lease)),
    await said(market.map([1], { python: { source: "" } }, { resume: "numbers" }).all),
  ];
}

const xeno = { login, mapped, refusals };
export type ManyPage = typeof xeno;
Object.assign(globalThis, { xeno });
