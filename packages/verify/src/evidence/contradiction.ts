/**
 * When two documents of one signer contradict each other. What may be said once, in which epoch of the log and in what two must agree
 * stands in the document table alone; this asks it, the same in both orders. What an honest signer may say again never convicts: a server
 * that lost its disk goes on under a new incarnation, a restored broker in a new epoch, a job comes to the same again, and what somebody
 * has seen of the log is no statement at all. Who controls the inputs: anyone; the signatures decide.
 */
import { isAlike, wasRun } from "@xenoservers/market";
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
  type Kind,
  type KnownKey,
  type MarketPins,
  type Once,
  type Payload,
  type SignedDocument,
} from "@xenoservers/protocol";
import { resultDifference } from "../judging/comparison.ts";

/** Whether every machine comes to the same: a guest that ran and left no hash of its memory or state did not run alike everywhere. */
const isOutcome = (result: Payload<"result">): boolean =>
  isAlike(result) && (!wasRun(result) || result.memoryHash !== null || result.stateRoot !== null);

/** Two runs of one job come to the same, wherever they ended by themselves; a host's failure or a stop says nothing of the job. */
function outcomesDiffer(first: AnyDocument, second: AnyDocument): boolean {
  if (first.kind !== "result" || second.kind !== "result") return false;
  const [a, b] = [first.payload, second.payload];
  if (!isOutcome(a) || !isOutcome(b)) return false;
  return resultDifference(a, b) !== null || resultDifference(b, a) !== null || a.stateRoot !== b.stateRoot;
}

/** As one entry of the table's column `once` has it. */
function differs<K extends Kind>({ says }: Once<K>, first: SignedDocument<K>, second: SignedDocument<K>): boolean {
  if (says === "outcome") return outcomesDiffer(first as AnyDocument, second as AnyDocument);
  const [a, b] = [says(first.payload), says(second.payload)];
  return a !== null && b !== null && canonicalText(a) !== canonicalText(b);
}

export const epochOf = ({ payload }: { payload: Payload<Kind> }): string | null => payload.seen?.epoch ?? null;

/** Whether both may have been said in one epoch: whoever names none speaks for all of them. */
function isOneEpoch(first: SignedDocument, second: SignedDocument): boolean {
  const [a, b] = [epochOf(first), epochOf(second)];
  return a === null || b === null || a === b;
}

type Clash = "now" | "across-epochs" | null;

/** How two documents of one signer clash: as they are, or if the earlier one still binds in the epoch of the later. */
function clashOf<K extends Kind>(first: SignedDocument<K>, second: SignedDocument<K>): Clash {
  const broken = (rowOf(first.kind).once ?? []).filter(
    (once) => once.by(first.payload) === once.by(second.payload) && differs(once, first, second),
  );
  if (broken.some(({ within }) => within === "ever" || isOneEpoch(first, second))) return "now";
  return broken.length > 0 ? "across-epochs" : null;
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
  documents: readonly [AnyDocument, AnyDocument];
  /** Of two epochs of the log: it is none unless what was said first still binds in the later one. */
  acrossEpochs: boolean;
}

/** Whose keys are known: only a key whose role may say something can lie by it. */
interface KnownSigners {
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

/** As contradictionIn, and what is one only if the earlier document still binds in the later one's epoch. */
export function clashIn(crypto: Crypto, first: unknown, second: unknown, known: KnownSigners | null = null): Contradiction | null {
  const [a, b] = [parseDocument(crypto, first), parseDocument(crypto, second)];
  if (!a.ok || !b.ok) return null;
  const [one, other] = [a.document, b.document];
  if (one.kind !== other.kind || one.keyid !== other.keyid || one.payload.origin !== other.payload.origin) return null;
  const clash = clashOf(one, other);
  if (clash === null || !maySay(crypto, one, known) || !maySay(crypto, other, known)) return null;
  const { kind, keyid: signer, payload } = one;
  const who = whoSigns(kind);
  return { signer, kind, who, origin: payload.origin, documents: [one, other], acrossEpochs: clash === "across-epochs" };
}

/**
 * Null where both can be honest, or either is not signed by the key it names, or by one that may not say it. `known`: null where nothing
 * is.
 */
export function contradictionIn(crypto: Crypto, first: unknown, second: unknown, known: KnownSigners | null = null): Contradiction | null {
  const clash = clashIn(crypto, first, second, known);
  return clash?.acrossEpochs === false ? clash : null;
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
