/**
 * A receipt's documents, opened: each is signed by the key that it names, is what the receipt calls it, and opens its leaf in the log. What a document
 * counts for is not asked here. Who controls the input: whoever hands over the file, every byte.
 */
import { FACT_KINDS } from "@xenoservers/market";
import { KIND_TABLE, leafHashOf, parseDocument, type AnyDocument, type Crypto, type Kind, type Receipt, type ReceiptDocument } from "@xenoservers/protocol";
import { firstWrong } from "./line.ts";

/** One document of a receipt with its place in the log; `index` is null while it has none. */
export interface Entry {
  document: AnyDocument;
  stored: ReceiptDocument;
  at: number;
  index: number | null;
  isLeaf: boolean;
}

/** Public documents that facts of a lease lean on. A gap is a fact of every lease that it touches. */
const LEAF_KINDS: readonly Kind[] = ["party", "key-grant", "key-rotate", "key-revoke", "fee", "gap", "referee"];
/** What a lease's own documents are: its facts, and the order that its purchase order embeds. */
const LEASE_KINDS: readonly Kind[] = [...FACT_KINDS.filter((kind) => kind !== "gap"), "order"];

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
  if (new Set(entries.map(({ document }) => document.id)).size !== entries.length) return { ok: false, why: "a document stands twice in it" };
  return { ok: true, entries };
}

function openOne(crypto: Crypto, stored: ReceiptDocument, isLeaf: boolean): Entry | string {
  const name = stored.kind.slice(0, 40);
  const parsed = parseDocument(crypto, stored.envelope);
  if (!parsed.ok) return `the ${name} document is not valid: ${parsed.code}`;
  const { document } = parsed;
  if (document.id !== stored.id || document.kind !== stored.kind) return `the document ${stored.id.slice(0, 12)} is not what it is called`;
  const isPublic = KIND_TABLE[document.kind].public;
  const wrong = firstWrong([
    [(isLeaf ? LEAF_KINDS : LEASE_KINDS).includes(document.kind), `the ${name} document has no place ${isLeaf ? "among the leaves" : "in a lease"}`],
    [isPublic === (stored.salt === ""), `the ${name} document ${isPublic ? "is public and has no salt" : "has no salt"}`],
    [stored.at > 0, `the ${name} document has no time`],
  ]);
  if (wrong !== null) return wrong;
  if (leafHashOf(crypto, document, stored.at, stored.salt) !== stored.leaf) return `the ${name} document does not open its leaf in the log`;
  return { document, stored, at: stored.at, index: stored.index, isLeaf };
}

/** As the log has them; what has no place yet comes last, by its time. */
export function inLogOrder(entries: readonly Entry[]): Entry[] {
  const last = Number.MAX_SAFE_INTEGER;
  const place = ({ index }: Entry): number => index ?? last;
  const unplaced = (a: Entry, b: Entry): number => a.at - b.at || Number(b.isLeaf) - Number(a.isLeaf);
  return [...entries].sort((a, b) => place(a) - place(b) || (a.index === null ? unplaced(a, b) : 0));
}
