/** A result that its customer doubts, before a referee: the same job once more on the referee's server, then the dispute that compares the two. */
import { parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { RefusedError, type MarketClient } from "./client.ts";
import type { BuiltJob } from "./job.ts";
import { openLink } from "./connect.ts";
import { LeaseSession } from "./lease-session.ts";
import { checkBound, signOrder, type Wanted } from "./order.ts";

export interface Judged {
  refereeLease: string;
  /** Null when the referee came to the same result. */
  verdict: Payload<"verdict"> | null;
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

/**
 * Freezes the owner's pay, has the referee run the job, and lets the two results decide. Costs the referee's price; on conviction the locked stake
 * pays for it. Throws RefusedError: `wrong_state` when the window is over, `not_comparable`, and what an order can be refused with.
 */
export async function disputeResult(client: MarketClient, lease: string, order: Payload<"order">, job: BuiltJob, budgetNanos: bigint): Promise<Judged> {
  const [referee] = (await client.read("market")).referees;
  if (referee === undefined) throw new Error("this market has no referee; object with `xeno lease object` and let its operator rule");
  const { state } = await client.read("lease", { params: { id: lease } });
  if (state === "settled")
    await client.act("objection", { lease, party: client.identity.party, expectedDueNanos: "0", reason: "the result is before a referee" });
  const signed = signOrder(client, refereeOrder(order, referee, budgetNanos), job.jobHash);
  const bound = await client.submit(signed.envelope);
  if (!bound.ok) throw new RefusedError(bound);
  let session: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(client, checkBound(client, signed.id, bound.answer["purchaseOrder"]), job, {}, link);
  await session.settled();
  session.close();
  link.stop();
  const answer = await client.act("dispute", { lease, party: client.identity.party, refereeLease: session.lease });
  if (answer["verdict"] === undefined) return { refereeLease: session.lease, verdict: null };
  const verdict = parseDocumentOf(client.crypto, "verdict", answer["verdict"]);
  if (!verdict.ok || verdict.document.keyid !== client.pins.keys.receipts) throw new Error("the broker's verdict is not valid");
  return { refereeLease: session.lease, verdict: verdict.document.payload };
}
