/** A page that rents: its key is made in it and never leaves it. The test calls what it hangs on the window. */
import { fromBase64, utf8 } from "@xenoservers/protocol";
import {
  MarketClient,
  buildJob,
  bytesBlob,
  fetchMarket,
  fetchReceipt,
  fingerprintOf,
  identityOf,
  openSession,
  pinsOf,
  placeOrder,
  quoteFor,
  type Wanted,
} from "@xenoservers/sdk";
import { verifyReceipt } from "@xenoservers/verify";

const WANTED: Wanted = {
  ...{ resources: { vcpu: 1, memoryMib: 64, diskMib: 16 }, conditions: [], terms: "on-result", assurance: "isolated", on: "market" },
  ...{ maxPriceNanosPerHour: null, durationMsMax: 60_000, budgetNanos: 100_000_000n, fuelMax: 10n ** 9n, label: "from a page" },
};

let client: MarketClient;

/** A new party of the market at that address. */
async function login(url: string): Promise<{ party: string; fingerprint: string }> {
  const pins = pinsOf(await fetchMarket(url));
  client = new MarketClient(url, pins, identityOf(crypto.getRandomValues(new Uint8Array(32))));
  const { party, signer } = client.identity;
  await client.act("party", { party, name: "a page", rootKey: signer.publicKey, recoveryKey: null });
  await client.login();
  return { party, fingerprint: fingerprintOf(client.crypto, pins) };
}

/** Runs a module, and gives what it wrote, piece by piece, what it cost and what of it is proved. */
async function rent(module: string, input: string) {
  const { offer, quote } = await quoteFor(client, WANTED);
  const job = buildJob({
    ...{ module: bytesBlob(fromBase64(module) ?? new Uint8Array()), stdin: bytesBlob(utf8(input)), args: ["hello"], env: [], mounts: [] },
    ...{ engine: offer.engine, memoryMibMax: 64, diskMibMax: 16, outputMibMax: 1, fuelMax: WANTED.fuelMax },
  });
  const bound = await placeOrder(client, WANTED, job.jobHash);
  const pieces: string[] = [];
  const { session, close } = openSession(client, bound, job, {
    onOutput: (stream, bytes) => void pieces.push(`${stream}: ${new TextDecoder().decode(bytes)}`),
  });
  try {
    const [lease, delivered] = await Promise.all([session.settled(), session.delivered()]);
    const receipt = await fetchReceipt(client, lease.id, 10_000);
    const own = { customerKey: client.identity.signer.publicKey, party: client.identity.party };
    const { ok, lines } = verifyReceipt(client.crypto, client.pins, receipt, own);
    const bent = structuredClone(receipt);
    for (const document of bent.documents) if (document.kind === "settlement") document.envelope.payload = "e30=";
    return {
      ...{ pieces, end: lease.end, held: quote.holdNanos.toString(), from: delivered?.from, ok },
      lines: lines.map(({ check, status }) => `${check} ${status}`),
      okWhenBent: verifyReceipt(client.crypto, client.pins, bent, own).ok,
    };
  } finally {
    close();
  }
}

const xeno = { login, rent, refusal: (url: string) => fetchMarket(url).then(String, String) };
export type Page = typeof xeno;
Object.assign(globalThis, { xeno });
