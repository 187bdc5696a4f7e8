/**
 * What a signer may say only once, and when two things it said contradict each other. Honest servers that lost their disk go on under a new
 * incarnation, and a deterministic job comes to the same again, so neither ever contradicts itself.
 */
import { KIND_TABLE, parseDocument, type AnyDocument, type Crypto, type Envelope } from "@xenoservers/protocol";
import { resultDifference } from "../judging/comparison.ts";

/** By what a document is the only one of its kind that its signer may sign; null where it may sign many. */
function onlyOnce(document: AnyDocument): string | null {
  switch (document.kind) {
    case "purchase-order":
      return `${document.payload.orderId}/${document.payload.slot}/${document.payload.attempt}`;
    case "opening":
    case "reveal":
    case "closing":
    case "settlement":
    case "verdict":
    case "result":
      return document.payload.lease;
    case "claim":
      return `${document.payload.lease}/${document.payload.incarnation}/${document.payload.sequence}`;
    case "claim-receipt":
      return `${document.payload.lease}/${document.payload.sequence}`;
    case "offer":
      return `${document.payload.server}/${document.payload.sequence}`;
    case "trace":
      return document.payload.request;
    case "order":
      return `${document.payload.party}/${document.payload.clientId}`;
    default:
      return null;
  }
}

/** Two results of one lease may differ in their nonce and time; never in what the job came to. */
function differs(first: AnyDocument, second: AnyDocument): boolean {
  if (first.kind === "result" && second.kind === "result") return resultDifference(first.payload, second.payload) !== null;
  return first.id !== second.id;
}

export interface Contradiction {
  signer: string;
  kind: AnyDocument["kind"];
  who: "broker" | "server" | "customer";
}

/** Null where both can be honest, or either is not signed by the key it names. */
export function contradictionIn(crypto: Crypto, first: unknown, second: unknown): Contradiction | null {
  const [a, b] = [parseDocument(crypto, first), parseDocument(crypto, second)];
  if (!a.ok || !b.ok) return null;
  const [one, other] = [a.document, b.document];
  const key = onlyOnce(one);
  if (key === null || one.kind !== other.kind || one.keyid !== other.keyid || key !== onlyOnce(other) || one.payload.origin !== other.payload.origin)
    return null;
  if (!differs(one, other)) return null;
  const { signedBy } = KIND_TABLE[one.kind];
  return { signer: one.keyid, kind: one.kind, who: signedBy === "broker" ? "broker" : one.kind === "order" ? "customer" : "server" };
}

/** The first two of these documents that contradict each other. */
export function findContradiction(crypto: Crypto, documents: readonly Envelope[]): [Envelope, Envelope] | null {
  for (const [i, first] of documents.entries()) for (const second of documents.slice(i + 1)) if (contradictionIn(crypto, first, second)) return [first, second];
  return null;
}
