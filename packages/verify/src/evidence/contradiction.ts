/**
 * What a signer may say only once, and when two things it said contradict each other. Honest servers that lost their disk go on under a new
 * incarnation, and a deterministic job comes to the same again, so neither ever contradicts itself.
 */
import { parseDocument, rowOf, type AnyDocument, type Crypto, type Envelope, type Kind, type SignedDocument } from "@xenoservers/protocol";
import { resultDifference } from "../judging/comparison.ts";

/** By what its signer may say a document only once; null where it may say many. */
function onlyOnce<K extends Kind>({ kind, payload }: SignedDocument<K>): string | null {
  return rowOf(kind).once?.(payload) ?? null;
}

/** Two results of one lease may differ in their nonce and time; never in what the job came to. */
function differs(first: AnyDocument, second: AnyDocument): boolean {
  if (first.kind === "result" && second.kind === "result") return resultDifference(first.payload, second.payload) !== null;
  return first.id !== second.id;
}

function whoSigns(kind: Kind): Contradiction["who"] {
  const { signers } = rowOf(kind);
  if (signers.some(({ by }) => by === "broker")) return "broker";
  if (signers.some(({ by }) => by === "operator")) return "operator";
  return signers.some((rule) => rule.by === "party" && rule.scope === "serve") ? "server" : "customer";
}

export interface Contradiction {
  signer: string;
  kind: AnyDocument["kind"];
  who: "broker" | "server" | "customer" | "operator";
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
  return { signer: one.keyid, kind: one.kind, who: whoSigns(one.kind) };
}

/** The first two of these documents that contradict each other. */
export function findContradiction(crypto: Crypto, documents: readonly Envelope[]): [Envelope, Envelope] | null {
  for (const [i, first] of documents.entries()) for (const second of documents.slice(i + 1)) if (contradictionIn(crypto, first, second)) return [first, second];
  return null;
}
