/**
 * What a signer may say only once (the document table says by what), and when two things it said contradict each other. What an honest
 * signer may say again never convicts: a server that lost its disk goes on under a new incarnation, a deterministic job comes to the
 * same again, and what somebody has seen of the log meanwhile is no statement at all. Who controls the inputs: anyone; the signatures
 * decide.
 */
import { isAlike } from "@xenoservers/market";
import {
  KeyBook,
  canonicalText,
  parseDocument,
  rowOf,
  serverIdOf,
  verifySigner,
  type AnyDocument,
  type Crypto,
  type Envelope,
  type Json,
  type Kind,
  type KnownKey,
  type MarketPins,
  type Payload,
  type SignedDocument,
} from "@xenoservers/protocol";
import { resultDifference } from "../judging/comparison.ts";

/** By what its signer may say a document only once; null where it may say many. */
function onlyOnce<K extends Kind>({ kind, payload }: SignedDocument<K>): string | null {
  return rowOf(kind).once?.(payload) ?? null;
}

/**
 * Two honest runs of one job come to the same, wherever they ended by themselves; a host's failure or a stop is chance and no statement
 * of the job.
 */
const resultsDiffer = (first: Payload<"result">, second: Payload<"result">): boolean =>
  isAlike(first) && isAlike(second) && resultDifference(first, second) !== null;

/** A server that could not trace the job may have been able to later. */
const tracesDiffer = (first: Payload<"trace">, second: Payload<"trace">): boolean =>
  first.detail === "" && second.detail === "" && canonicalText(statement(first)) !== canonicalText(statement(second));

/** A payload without what its signer had seen of the log. */
const statement = ({ seen: _, ...rest }: { seen: unknown; [key: string]: unknown }): Json => rest as Json;

function differs(first: AnyDocument, second: AnyDocument): boolean {
  if (first.kind === "result" && second.kind === "result") return resultsDiffer(first.payload, second.payload);
  if (first.kind === "trace" && second.kind === "trace") return tracesDiffer(first.payload, second.payload);
  return canonicalText(statement(first.payload)) !== canonicalText(statement(second.payload));
}

/** As what the signer of a kind speaks. */
export type Accused = "broker" | "server" | "customer" | "operator";

function whoSigns(kind: Kind): Accused {
  const { signers } = rowOf(kind);
  if (signers.some(({ by }) => by === "broker")) return "broker";
  if (signers.some(({ by }) => by === "operator")) return "operator";
  return signers.some((rule) => rule.by === "party" && rule.scope === "serve") ? "server" : "customer";
}

export interface Contradiction {
  signer: string;
  kind: Kind;
  who: Accused;
  origin: string;
}

/** Whose keys are known: only a key whose role may say something can lie by it. */
export interface KnownSigners {
  market: MarketPins;
  keyOf(keyid: string): KnownKey | null;
}

/** What is known of keys by a market's pins and these public documents. */
export function knownSigners(crypto: Crypto, market: MarketPins, grants: readonly unknown[]): KnownSigners {
  const book = new KeyBook(crypto, market.origin);
  for (const grant of grants) book.learn(grant);
  return { market, keyOf: book.keyOf };
}

/** Whether the signer's role may say it, as far as anything is known of its key. */
function maySay(crypto: Crypto, document: AnyDocument, known: KnownSigners | null): boolean {
  const { keyid, payload } = document;
  if ("server" in payload && whoSigns(document.kind) === "server" && payload.server !== serverIdOf(crypto, keyid)) return false;
  return known === null || verifySigner(document, { crypto, market: known.market, key: known.keyOf(keyid), at: 0 }).ok;
}

/**
 * Null where both can be honest, or either is not signed by the key it names, or by one that may not say it. `known`: null where nothing
 * is.
 */
export function contradictionIn(crypto: Crypto, first: unknown, second: unknown, known: KnownSigners | null = null): Contradiction | null {
  const [a, b] = [parseDocument(crypto, first), parseDocument(crypto, second)];
  if (!a.ok || !b.ok) return null;
  const [one, other] = [a.document, b.document];
  const key = onlyOnce(one);
  if (
    key === null ||
    one.kind !== other.kind ||
    one.keyid !== other.keyid ||
    key !== onlyOnce(other) ||
    one.payload.origin !== other.payload.origin
  )
    return null;
  if (!differs(one, other) || !maySay(crypto, one, known) || !maySay(crypto, other, known)) return null;
  return { signer: one.keyid, kind: one.kind, who: whoSigns(one.kind), origin: one.payload.origin };
}

/** The first two of these documents that contradict each other. */
export function findContradiction(
  crypto: Crypto,
  documents: readonly Envelope[],
  known: KnownSigners | null = null,
): [Envelope, Envelope] | null {
  for (const [i, first] of documents.entries())
    for (const second of documents.slice(i + 1)) if (contradictionIn(crypto, first, second, known)) return [first, second];
  return null;
}
