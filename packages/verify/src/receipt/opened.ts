/**
 * A receipt's documents, opened: each is signed by the key that it names, is what the receipt calls it, and opens its leaf in the log.
 * What a document counts for is not asked here. Who controls the input: whoever hands over the file, every byte.
 */
import { FACT_KINDS } from "@xenoservers/market";
import {
  KIND_TABLE,
  leafHashOf,
  parseDocument,
  type AnyDocument,
  type Crypto,
  type Kind,
  type Receipt,
  type ReceiptDocument,
} from "@xenoservers/protocol";
import { firstWrong } from "./line.ts";

/** One document of a receipt with its place in the log; `index` is null while it has none. */
export interface Entry {
  document: AnyDocument;
  stored: ReceiptDocument;
  at: number;
  index: number | null;
  isLeaf: boolean;
}

/**
 * A lease's own documents are its facts, and the order that its purchase order embeds. A gap is a fact of every lease that it touches,
 * and of none.
 */
const OWN_KINDS: readonly Kind[] = [...FACT_KINDS.filter((kind) => kind !== "gap"), "order"];
const isOwn = (kind: Kind): boolean => OWN_KINDS.includes(kind);
/** What a lease's facts lean on is public. */
const mayBeLeaf = (kind: Kind): boolean => KIND_TABLE[kind].public && !isOwn(kind);

export type Opened = { ok: true; entries: Entry[] } | { ok: false; why: string };

export function openDocuments(crypto: Crypto, receipt: Receipt): Opened {
  const entries: Entry[] = [];
  for (const [list, isLeaf] of [
    [receipt.documents, false],
    [receipt.leaves, true],
  ] as const)
    for (const stored of list) {
      const opened = openOne(crypto, stored, isLeaf);
      if (typeof opened === "string") return { ok: false, why: opened };
      entries.push(opened);
    }
  const ids = new Set(entries.map(({ document }) => document.id));
  return ids.size === entries.length ? { ok: true, entries } : { ok: false, why: "a document stands twice in it" };
}

/** Says in words why not. */
export function openOne(crypto: Crypto, stored: ReceiptDocument, isLeaf: boolean): Entry | string {
  const name = stored.kind.slice(0, 40);
  const parsed = parseDocument(crypto, stored.envelope);
  if (!parsed.ok) return `the ${name} document is not valid: ${parsed.code}`;
  const { document } = parsed;
  if (document.id !== stored.id || document.kind !== stored.kind) return `the document ${stored.id.slice(0, 12)} is not what it is called`;
  const isPublic = KIND_TABLE[document.kind].public;
  const wrong = firstWrong([
    [isLeaf || isOwn(document.kind), `the ${name} document has no place in a lease`],
    [!isLeaf || mayBeLeaf(document.kind), `the ${name} document has no place among the leaves`],
    [isPublic === (stored.salt === ""), `the ${name} document ${isPublic ? "is public and has no salt" : "has no salt"}`],
    [stored.at > 0, `the ${name} document has no time`],
  ]);
  if (wrong !== null) return wrong;
  const { at, index } = stored;
  if (leafHashOf(crypto, document, stored.at, stored.salt) !== stored.leaf) return `the ${name} document does not open its leaf in the log`;
  return { document, stored, at, index, isLeaf };
}

/** In which order kinds come that were said at one moment. */
const AT_ONCE: readonly Kind[] = ["party", "key-rotate", "key-grant", "key-revoke", "fee", "referee", "order", ...FACT_KINDS];

/** Whether `one` comes after `other` by what they say themselves. */
export function isLater(one: Entry, other: Entry): boolean {
  const rank = ({ document }: Entry): number => AT_ONCE.indexOf(document.kind);
  return one.at > other.at || (one.at === other.at && rank(one) > rank(other));
}

/**
 * As the log has them. What has no place there stands where its time and kind would put it, by the word of whoever hands it over: nothing
 * that rests on it is proved.
 */
export function inLogOrder(entries: readonly Entry[]): Entry[] {
  const ordered = entries.filter(({ index }) => index !== null).sort((a, b) => (a.index ?? 0) - (b.index ?? 0));
  const waiting = entries.filter(({ index }) => index === null).sort((a, b) => Number(isLater(a, b)) - Number(isLater(b, a)));
  for (const entry of waiting) {
    // other brokers' leaves may be timed by a little otherwise than they were logged: a lease's own documents never are
    const next = ordered.findIndex((each) => (entry.isLeaf || !each.isLeaf) && isLater(each, entry));
    ordered.splice(next < 0 ? ordered.length : next, 0, entry);
  }
  return ordered;
}
