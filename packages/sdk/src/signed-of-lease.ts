/**
 * What the server of a lease has signed for it, as the receipt shows it: its result, and the roots of its states where they were asked for.
 * Nothing is taken that its own key did not sign for just this lease and job. Who controls the inputs: the broker (which documents it
 * shows), the server (what they say).
 */
import { verifyDocumentOf, type Verified } from "@xenoservers/protocol";
import type { MarketClient } from "./client.ts";
import { BrokenWordError } from "./errors.ts";
import { boundIn, type BoundOrder } from "./purchase-order.ts";
import { readDocuments } from "./receipt.ts";
import { checkResult } from "./session/result.ts";

interface SignedOfLease {
  bound: BoundOrder;
  /** Null: the receipt has none. */
  result: Verified<"result"> | null;
  trace: Verified<"trace"> | null;
}

type Checked<K extends "result" | "trace"> = { ok: true; document: Verified<K> } | { ok: false; why: string };

const wrong = (why: string): { ok: false; why: string } => ({ ok: false, why });

function checkTrace({ po, order, world, serving }: BoundOrder, untrusted: unknown): Checked<"trace"> {
  const read = verifyDocumentOf("trace", untrusted, { ...world, at: po.payload.issuedAt });
  if (!read.ok) return wrong(`it is not rightly signed (${read.code})`);
  const { keyid, payload } = read.document;
  if (keyid !== serving.serverKey || payload.lease !== po.id) return wrong("it is not signed by the server for this lease");
  return payload.jobHash === order.payload.jobHash ? { ok: true, document: read.document } : wrong("it is of another job than was ordered");
}

/** Throws BrokenPurchaseOrder, and BrokenWordError where the broker shows something else in their place. */
export async function signedOf(client: MarketClient, lease: string): Promise<SignedOfLease> {
  const receipt = await readDocuments(client, lease);
  const bound = boundIn(client, receipt, lease);
  const shown = <K extends "result" | "trace">(kind: K, check: (bound: BoundOrder, untrusted: unknown) => Checked<K>) => {
    const stored = receipt.documents.find((document) => document.kind === kind);
    if (!stored) return null;
    const checked = check(bound, stored.envelope);
    if (checked.ok) return checked.document;
    throw new BrokenWordError(`the ${kind} that the broker shows for lease ${lease.slice(0, 12)} is none: ${checked.why}`);
  };
  return { bound, result: shown("result", checkResult), trace: shown("trace", checkTrace) };
}
