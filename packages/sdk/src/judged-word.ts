/**
 * The broker's word on a doubted result, held against the two results that the servers signed: it is taken only where it follows from
 * them. Who controls the inputs: the broker (its answer, what it shows), both servers (their results).
 */
import { isSameSigned, verifyDocumentOf, type Payload } from "@xenoservers/protocol";
import { judgeRuling } from "@xenoservers/verify";
import type { MarketClient } from "./client.ts";
import type { DisputedLease } from "./dispute-terms.ts";
import type { RefereeRun } from "./dispute-run.ts";
import { BrokenWordError, RefusedError } from "./errors.ts";
import { signedOf } from "./signed-of-lease.ts";

/** The one segment that the referee ran, and the server's states around it. */
export interface Part {
  trace: Payload<"trace"> | null;
  segment: number;
}

/** The verdict in the answer, signed for this lease; null where there is none. */
function verdictIn(client: MarketClient, answer: Record<string, unknown> | null, lease: string): Payload<"verdict"> | null {
  if (answer?.["verdict"] === undefined) return null;
  const facts = { crypto: client.crypto, market: client.pins, keyOf: () => null, at: client.brokerNow() };
  const verdict = verifyDocumentOf("verdict", answer["verdict"], facts);
  if (verdict.ok && verdict.document.payload.lease === lease) return verdict.document.payload;
  throw new BrokenWordError("the broker's verdict is not valid");
}

/** Null: it says that the results agree. */
async function saidBy(client: MarketClient, dispute: Omit<Payload<"dispute">, "origin" | "seen">): Promise<Payload<"verdict"> | null> {
  const answer = await client.act("dispute", dispute).catch((error: unknown) => {
    if (error instanceof RefusedError && error.refusal.code === "result_agrees") return null;
    throw error;
  });
  return verdictIn(client, answer, dispute.lease);
}

/**
 * Brings the referee's run. The verdict, or null where the referee came to the same result; both follow from what the two servers signed.
 * Throws RefusedError, and BrokenWordError where the broker says something else than follows.
 */
export async function bring(
  client: MarketClient,
  accused: DisputedLease,
  { refereeLease, referee }: RefereeRun,
  part: Part | null,
): Promise<Payload<"verdict"> | null> {
  const { bound, result: ruling } = await signedOf(client, refereeLease);
  const lease = accused.view.id;
  const broken = (why: string): BrokenWordError => new BrokenWordError(`the broker's word on lease ${lease.slice(0, 12)}: ${why}`);
  if (!ruling) throw broken("it does not show what the referee has signed");
  const own = judgeRuling(bound.world, accused.bound.lease, referee, accused.result.payload, ruling, part);
  const said = await saidBy(client, {
    ...{ lease, party: client.identity.party, refereeLease },
    ...{ segment: part?.segment ?? null, ruling: ruling.envelope },
  });
  if (!own.ok) throw broken(`the two signed results decide nothing (${own.why}), and it says that they do`);
  if (said === null) {
    if (own.difference !== null) throw broken(`it says that the results agree, and by what was signed they do not: ${own.difference}`);
    return null;
  }
  if (own.difference === null) throw broken("it says that the result is wrong, and the referee has signed the same");
  const { crypto } = client;
  const holdsBoth = isSameSigned(crypto, said.result, accused.result) && isSameSigned(crypto, said.ruling, ruling);
  if (!holdsBoth || said.referee !== referee || said.why !== own.difference) throw broken("its verdict is not over these two results");
  return said;
}
