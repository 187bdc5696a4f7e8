/**
 * The document that an answer is about: the one that was sent, or an earlier credit that says the same under the same reference, which is
 * done once. Who controls the inputs: the broker, every byte of its answer.
 */
import { isOfKind, parseDocumentOf, type AnyDocument, type Crypto, type SignedDocument } from "@xenoservers/protocol";

const sameCredit = (one: SignedDocument<"credit">, other: SignedDocument<"credit">): boolean =>
  one.keyid === other.keyid &&
  (["party", "amountNanos", "source", "reference", "origin"] as const).every((key) => one.payload[key] === other.payload[key]);

export function answeredDocument(crypto: Crypto, sent: AnyDocument, answer: Record<string, unknown>): AnyDocument {
  if (!isOfKind(sent, "credit") || sent.payload.reference === "" || answer["document"] === undefined) return sent;
  const earlier = parseDocumentOf(crypto, "credit", answer["document"]);
  return earlier.ok && sameCredit(earlier.document, sent) ? earlier.document : sent;
}
