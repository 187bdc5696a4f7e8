/** A simulated customer that does not take results on trust: compares replicas, follows up drawn audits, and disputes. Production code of the SDK. */
import { parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { RefusedError, disputeResults, type BuiltJob, type LeaseSession, type MarketClient } from "@xenoservers/sdk";
import { isAlike } from "@xenoservers/market";
import { resultDifference } from "@xenoservers/verify";

const REFEREE_BUDGET = 100_000_000n;

async function resultOf(client: MarketClient, lease: string): Promise<Payload<"result"> | null> {
  const { documents } = await client.read("receipt", { params: { id: lease } });
  const stored = documents.find(({ kind }) => kind === "result");
  const parsed = stored && parseDocumentOf(client.crypto, "result", stored.envelope);
  return parsed?.ok && isAlike(parsed.document.payload) ? parsed.document.payload : null;
}

/** Never throws: a customer that cannot reach the market, or is refused, gives up. */
export async function doubt(
  client: MarketClient,
  sessions: readonly LeaseSession[],
  order: Payload<"order">,
  job: BuiltJob,
  trace: (what: string) => void,
): Promise<void> {
  try {
    const ended = await Promise.all(sessions.map((session) => session.settled()));
    const results = await Promise.all(ended.map(({ id }) => resultOf(client, id)));
    const right = ended.flatMap(({ id }, i) => (results[i] ? [{ id, result: results[i] }] : []));
    const [first, ...others] = right;
    const isDrawn = ended.some(({ end }) => end?.audited === true);
    if (!first || (!isDrawn && sessions.length > 1 && others.every(({ result }) => resultDifference(first.result, result) === null)))
      return;
    const leases = right.map(({ id }) => id);
    const { verdicts } = await disputeResults(client, leases, order, job, REFEREE_BUDGET);
    for (const [lease, verdict] of verdicts) trace(`dispute over ${lease.slice(0, 12)}: ${verdict ? verdict.why : "right"}`);
  } catch (error) {
    trace(`dispute given up: ${error instanceof RefusedError ? error.refusal.code : String((error as Error).message)}`);
  }
}
