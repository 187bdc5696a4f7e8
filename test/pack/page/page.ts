/** A page that rents: its key is made in it and never leaves it. The test calls what it hangs on the window. */
import { fromBase64 } from "@xenoservers/protocol";
import { Market, MarketClient, fetchMarket, fetchReceipt, fingerprintOf, identityOf, pinsOf, type RunInput } from "@xenoservers/sdk";

const BOUNDS = { budget: "0.10", maxTime: "1m", mem: "64M", disk: "16M", label: "from a page" } as const;

let market: Market;

/** A new party of the market at that address. */
async function login(url: string): Promise<{ party: string; fingerprint: string }> {
  const pins = pinsOf(await fetchMarket(url));
  const identity = identityOf(crypto.getRandomValues(new Uint8Array(32)));
  const { party, signer } = identity;
  const client = new MarketClient(url, pins, identity);
  await client.act("party", { party, name: "a page", rootKey: signer.publicKey, recoveryKey: null });
  market = Market.of(client);
  return { party, fingerprint: fingerprintOf(client.crypto, pins) };
}

/** Goes on by a token, which may spend and look, and nothing else. */
async function byToken(): Promise<{ party: string; scopes: readonly string[] }> {
  const { token } = await market.tokens.create({ label: "of the page", scopes: ["spend", "control", "read"], maxPerDay: "1.00" });
  market = await Market.connect({ token });
  const { party, scopes } = market.client.identity;
  return { party, scopes };
}

/** Runs a module, and gives what it wrote, piece by piece, what it cost and what of it is proved. */
async function rent(module: string, input: string) {
  const { offers } = await market.search("mem>=64M");
  const run = { module: fromBase64(module) ?? new Uint8Array(), stdin: input, files: { "a/b.txt": "beside it" }, ...BOUNDS };
  const { quote } = await market.quote(run);
  const states: string[] = [];
  const job = await market.run({ ...run, onState: (state) => void states.push(state) });
  const pieces: string[] = [];
  for await (const { stream, text } of job.output) pieces.push(`${stream}: ${text}`);
  const { ok, end, exitCode, bill, verification } = await job.result;
  const receipt = await fetchReceipt(market.client, job.lease, 600_000);
  const again = await market.verify(receipt);
  const bent = structuredClone(receipt);
  for (const document of bent.documents) if (document.kind === "settlement") document.envelope.payload = "e30=";
  const leases = [];
  for await (const { id, label } of market.leases()) leases.push({ id, label });
  return {
    ...{
      pieces,
      states,
      end: { ...end, exitCode },
      offers: offers.length,
      held: quote.holdNanos >= bill.dueNanos,
      leases,
      lease: job.lease,
    },
    ...{ ok, verified: [verification.ok, again.ok, (await market.verify(job.lease)).ok] },
    lines: again.lines.map(({ check, status }) => `${check} ${status}`),
    okWhenBent: (await market.verify(bent)).ok,
  };
}

/** Runs a script, and stops it once it has said something. */
async function stopped(source: string) {
  const job = await market.run({ python: { source }, ...BOUNDS, mem: "256M" });
  const said: string[] = [];
  for await (const { text } of job.output) {
    said.push(text);
    await job.stop();
  }
  const { ok, end, files } = await job.result;
  return { said: said.join(""), ok, reason: end.reason, files: files.map(({ name }) => name), left: (await market.lease(job.lease)).state };
}

/** What a page cannot do, in words. */
async function refusals(): Promise<string[]> {
  const runs: RunInput[] = [
    ...[{ image: "alpine" }, { python: "a.py" }, { module: "a.wasm" }, { python: { source: "" }, in: "folder" }],
    ...[
      { python: { source: "" }, files: { a: { path: "a" } } },
      { python: { source: "import asyncio" } },
      { python: { source: "import numpy" } },
    ],
  ];
  const said = (doing: () => unknown): Promise<string> =>
    Promise.resolve()
      .then(doing)
      .then(() => "done", String);
  const lease = "abcdef012345";
  return Promise.all([
    ...runs.map((run) => said(() => market.run(run))),
    said(() => market.run({ python: { source: "" }, replicas: 2 })),
    ...[said(() => market.map([1], { python: { source: "" } }).all), said(() => market.dispute(lease)), said(() => market.audit(lease))],
    said(() => market.verify("./receipt.json")),
  ]);
}

const xeno = { login, byToken, rent, stopped, refusals, refusal: (url: string) => fetchMarket(url).then(String, String) };
export type Page = typeof xeno;
Object.assign(globalThis, { xeno });
