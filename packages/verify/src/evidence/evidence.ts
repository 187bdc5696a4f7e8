/**
 * Evidence that convicts a broker or a server on a machine that never saw the market: contradicting checkpoints, contradicting
 * documents, one slot opened twice, a promise not kept. It convicts a key; whose key that is, a machine knows by its pins or by the
 * grants in the evidence. Who controls the input: whoever hands over the file; the signatures decide.
 */
import {
  EVIDENCE_FORMAT,
  fromBase64,
  fromHex,
  leafHash,
  parseDocumentOf,
  parseUtf8,
  rootOfLeaves,
  toHex,
  verifyCheckpoint,
  verifyPromise,
  zEvidence,
  type Crypto,
  type Envelope,
  type Evidence,
  type EvidenceOf,
  type MarketPins,
} from "@xenoservers/protocol";
import { claimed, failed, proved, type Said, type Verification } from "../receipt/line.ts";
import { contradictionIn, knownSigners, type Accused, type Contradiction, type KnownSigners } from "./contradiction.ts";

/** The two notes as evidence, or null where they do not contradict each other. */
export function packFork(crypto: Crypto, key: string, first: string, second: string): EvidenceOf<"fork"> | null {
  return forked(crypto, { key, first, second }) && { format: EVIDENCE_FORMAT, kind: "fork", key, first, second };
}

/** `grants`: the public documents that give a party's key its role. */
export function packContradiction(first: Envelope, second: Envelope, grants: readonly Envelope[] = []): EvidenceOf<"contradiction"> {
  return { format: EVIDENCE_FORMAT, kind: "contradiction", first, second, grants: [...grants] };
}

export const isEvidence = (untrusted: unknown): boolean =>
  typeof untrusted === "object" && untrusted !== null && "format" in untrusted && untrusted.format === EVIDENCE_FORMAT;

interface Finding {
  /** Whose key. */
  key: string;
  /** The market that it was signed for. */
  origin: string;
  /** By which of a market's pinned keys; null where it is a party's. */
  as: keyof MarketPins["keys"] | null;
  /** Another key that must be the market's log key; null where there is none. */
  logKey: string | null;
  says: string;
}

/** What the evidence proves; null where it proves nothing. */
function findingOf(crypto: Crypto, evidence: Evidence, pinned: MarketPins | null): Finding | null {
  switch (evidence.kind) {
    case "fork":
      return forked(crypto, evidence);
    case "contradiction":
      return contradicted(crypto, evidence, pinned);
    case "sold-twice":
      return soldTwice(crypto, evidence.documents);
    case "broken-promise":
      return brokenPromise(crypto, evidence);
  }
}

function forked(crypto: Crypto, { key, first, second }: Pick<EvidenceOf<"fork">, "key" | "first" | "second">): Finding | null {
  const [a, b] = [verifyCheckpoint(crypto, key, first), verifyCheckpoint(crypto, key, second)];
  if (!a || !b || a.origin !== b.origin || a.size !== b.size || a.root === b.root) return null;
  const says = `signed two different logs of ${a.size} leaves under one name: its broker cheats`;
  return { key, origin: a.origin.replace(/\/log\/\d+$/, ""), as: "checkpoints", logKey: null, says };
}

const NOBODY = "";
/** Of a market that this machine does not know: no key is its broker's. */
const unknownMarket = (origin: string): MarketPins => ({
  origin,
  keys: { purchaseOrders: NOBODY, checkpoints: NOBODY, receipts: NOBODY },
  operatorKey: NOBODY,
});

const isParty = (who: Accused): boolean => who === "server" || who === "customer";

function contradicted(crypto: Crypto, { first, second, grants }: EvidenceOf<"contradiction">, pinned: MarketPins | null): Finding | null {
  const found: Contradiction | null = contradictionIn(crypto, first, second);
  if (!found) return null;
  const { signer: key, origin, kind, who } = found;
  const says = `signed two documents of kind ${kind} where there may be one: this ${who} cheats`;
  const market = pinned?.origin === origin ? pinned : null;
  if (isParty(who)) {
    const known: KnownSigners = knownSigners(crypto, market ?? unknownMarket(origin), grants);
    if (grants.length > 0 && !contradictionIn(crypto, first, second, known)) return null;
    const whose = known.keyOf(key)?.party;
    return { key, origin, as: null, logKey: null, says: whose ? `of ${whose} ${says}` : says };
  }
  if (market && !contradictionIn(crypto, first, second, { market, keyOf: () => null })) return null;
  return { key, origin, as: null, logKey: null, says };
}

function soldTwice(crypto: Crypto, documents: EvidenceOf<"sold-twice">["documents"]): Finding | null {
  const [firstOrder, firstOpening, secondOrder, secondOpening] = documents;
  const [one, two] = [parseDocumentOf(crypto, "purchase-order", firstOrder), parseDocumentOf(crypto, "purchase-order", secondOrder)];
  const [open, openToo] = [parseDocumentOf(crypto, "opening", firstOpening), parseDocumentOf(crypto, "opening", secondOpening)];
  if (!one.ok || !two.ok || !open.ok || !openToo.ok) return null;
  const [po, other] = [one.document, two.document];
  const key = po.keyid;
  const isOneSlot = po.id !== other.id && po.payload.orderId === other.payload.orderId && po.payload.slot === other.payload.slot;
  const isOneSigner = [po, other, open.document, openToo.document].every(
    ({ keyid, payload }) => keyid === key && payload.origin === po.payload.origin,
  );
  const isOpened = open.document.payload.lease === po.id && openToo.document.payload.lease === other.id;
  if (!isOneSlot || !isOneSigner || !isOpened) return null;
  return {
    key,
    origin: po.payload.origin,
    as: "purchaseOrders",
    logKey: null,
    says: "opened two leases for one slot of an order: its broker cheats",
  };
}

/** When the broker accepted the document behind a leaf, by the leaf's own bytes. */
function acceptedAt(leaf: Uint8Array): number | null {
  try {
    const value: unknown = JSON.parse(parseUtf8(leaf) ?? "");
    return typeof value === "object" && value !== null && "at" in value && typeof value.at === "number" ? value.at : null;
  } catch {
    return null;
  }
}

const NO_BYTES = new Uint8Array();
const bytesOf = (hash: string): Uint8Array => fromHex(hash) ?? NO_BYTES;

function brokenPromise(crypto: Crypto, { key, promise, checkpoint, leaves, later }: EvidenceOf<"broken-promise">): Finding | null {
  const log = verifyCheckpoint(crypto, key, checkpoint);
  const leaf = fromBase64(later.leaf);
  if (!log || !leaf || log.size !== leaves.length || !log.origin.startsWith(`${promise.origin}/log/`)) return null;
  if (!verifyPromise(crypto, promise.keyid, promise)) return null;
  const isItsLog = toHex(rootOfLeaves(crypto, leaves.map(bytesOf))) === log.root;
  if (!isItsLog || toHex(leafHash(crypto, leaf)) !== leaves[later.index]) return null;
  const at = acceptedAt(leaf);
  if (at === null || at <= promise.mergeBy || leaves.slice(0, later.index).includes(promise.leaf)) return null;
  const where = leaves.includes(promise.leaf) ? "logged it after" : "did not log it before";
  const says = `promised a leaf by ${promise.mergeBy} and ${where} what it accepted at ${at}: its broker drops or backdates documents`;
  return { key: promise.keyid, origin: promise.origin, as: "receipts", logKey: key, says };
}

/** The promise as evidence against this log; null while it is kept, or cannot be shown broken yet. `leaves`: the bytes of them all. */
export function packBrokenPromise(
  crypto: Crypto,
  key: string,
  promise: EvidenceOf<"broken-promise">["promise"],
  checkpoint: string,
  leaves: readonly Uint8Array[],
  encode: (bytes: Uint8Array) => string,
): EvidenceOf<"broken-promise"> | null {
  const index = leaves.findIndex((leaf) => (acceptedAt(leaf) ?? 0) > promise.mergeBy);
  const leaf = leaves[index];
  if (!leaf) return null;
  const hashes = leaves.map((each) => toHex(leafHash(crypto, each)));
  const later = { index, leaf: encode(leaf) };
  const evidence: EvidenceOf<"broken-promise"> = {
    format: EVIDENCE_FORMAT,
    kind: "broken-promise",
    key,
    promise,
    checkpoint,
    leaves: hashes,
    later,
  };
  return brokenPromise(crypto, evidence) ? evidence : null;
}

const NOTHING = "it proves nothing: both can be honest, or a signature is not that key's";

function weighed({ key, origin, as, logKey, says }: Finding, pinned: MarketPins | null): Said {
  const market = pinned?.origin === origin ? pinned : null;
  const short = `the key ${key.slice(0, 16)}…`;
  if (!market) {
    // nothing here ties the log to who made the promise
    const ifItsLog = `if the log of the key ${logKey?.slice(0, 16)}… is its market's`;
    return logKey === null ? proved(`${short} ${says}`) : claimed(`${short} ${says}; ${ifItsLog}`);
  }
  const isMarkets = [...Object.values(market.keys), market.operatorKey].includes(key);
  if (as === null) return proved(`${isMarkets ? "the market you are logged in to" : short} ${says}`);
  if (key !== market.keys[as]) return failed(`it proves nothing of the market you are logged in to: ${short} is not its key`);
  if (logKey !== null && logKey !== market.keys.checkpoints)
    return failed("it proves nothing: the log in it is not that of the market you are logged in to");
  return proved(`the market you are logged in to ${says}`);
}

/** `pinned`: the market that this machine knows, if any. What hangs on a claim, such as whose log it is, convicts nobody. */
export function verifyEvidence(crypto: Crypto, untrusted: unknown, pinned: MarketPins | null): Verification {
  const parsed = zEvidence.safeParse(untrusted);
  const where = parsed.error?.issues[0]?.path.join(".") ?? "";
  if (!parsed.success) return { ok: false, lines: [{ check: "file", ...failed(`this is not evidence: ${where}`) }] };
  const finding = findingOf(crypto, parsed.data, pinned);
  const said = finding ? weighed(finding, pinned) : failed(NOTHING);
  return { ok: said.status === "proved", lines: [{ check: parsed.data.kind, ...said }] };
}
