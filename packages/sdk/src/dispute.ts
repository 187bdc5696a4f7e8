/** A result that its customer doubts, before a referee: the same job once more on the referee's server, then the dispute that compares the two. */
import { parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { RefusedError, type MarketClient } from "./client.ts";
import type { BuiltJob } from "./job.ts";
import { openLink } from "./connect.ts";
import { LeaseSession } from "./lease-session.ts";
import { checkBound, signOrder, type Wanted } from "./order.ts";

export interface Judged {
  refereeLease: string;
  /** By lease: the verdict, or null where the referee came to the same result. */
  verdicts: Map<string, Payload<"verdict"> | null>;
}

/** The order for the referee's run: the same limits, on that one server. */
function refereeOrder(order: Payload<"order">, referee: string, budgetNanos: bigint): Wanted {
  return {
    resources: order.resources,
    conditions: [{ key: "server", op: "=", value: referee }],
    terms: "on-result",
    assurance: "isolated",
    on: "market",
    maxPriceNanosPerHour: null,
    durationMsMax: order.durationMsMax,
    fuelMax: BigInt(order.fuelMax),
    budgetNanos,
    label: "referee",
  };
}

/** Freezes the owner's pay while the referee works, so that the window cannot run out meanwhile. */
async function freeze(client: MarketClient, lease: string): Promise<void> {
  const { state } = await client.read("lease", { params: { id: lease } });
  if (state === "settled")
    await client.act("objection", { lease, party: client.identity.party, expectedDueNanos: "0", reason: "the result is before a referee" });
}

async function refereeRun(client: MarketClient, order: Payload<"order">, job: BuiltJob, budgetNanos: bigint): Promise<string> {
  const [referee] = (await client.read("market")).referees;
  if (referee === undefined) throw new Error("this market has no referee; object with `xeno lease object` and let its operator rule");
  const signed = signOrder(client, refereeOrder(order, referee, budgetNanos), job.jobHash);
  const answer = await client.submit(signed.envelope);
  if (!answer.ok) throw new RefusedError(answer);
  let session: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(client, checkBound(client, signed.id, answer.answer["purchaseOrder"]), job, {}, link);
  await session.settled();
  session.close();
  link.stop();
  return session.lease;
}

async function judge(client: MarketClient, lease: string, refereeLease: string): Promise<Payload<"verdict"> | null> {
  const answer = await client.act("dispute", { lease, party: client.identity.party, refereeLease });
  if (answer["verdict"] === undefined) return null;
  const verdict = parseDocumentOf(client.crypto, "verdict", answer["verdict"]);
  if (!verdict.ok || verdict.document.keyid !== client.pins.keys.receipts) throw new Error("the broker's verdict is not valid");
  return verdict.document.payload;
}

/**
 * Leases of one job whose results are doubted: their pay is frozen, the referee runs the job once, and its result decides over each. Costs the
 * referee's price; on conviction the locked stake pays for it. Throws RefusedError: `wrong_state` when the window is over, `not_comparable`, and
 * what an order can be refused with.
 */
export async function disputeResults(
  client: MarketClient,
  leases: readonly string[],
  order: Payload<"order">,
  job: BuiltJob,
  budgetNanos: bigint,
): Promise<Judged> {
  for (const lease of leases) await freeze(client, lease);
  const refereeLease = await refereeRun(client, order, job, budgetNanos);
  const verdicts: Judged["verdicts"] = new Map();
  for (const lease of leases) verdicts.set(lease, await judge(client, lease, refereeLease));
  return { refereeLease, verdicts };
}
