/**
 * Evidence that convicts a broker or a server on a machine that never saw the market: contradicting checkpoints, contradicting documents, one slot
 * opened twice, a promise not kept. Who controls the input: whoever hands over the file; the signatures decide.
 */
import {
  EVIDENCE_FORMAT,
  fromHex,
  leafHash,
  parseDocumentOf,
  parseUtf8,
  rootOfLeaves,
  toHex,
  verifyCheckpoint,
  verifyPromise,
  zEvidence,
  fromBase64,
  type Crypto,
  type Envelope,
  type Evidence,
  type EvidenceOf,
  type MarketPins,
  type SignedDocument,
} from "@xenoservers/protocol";
import { contradictionIn } from "./contradiction.ts";

import type { Line, Verification } from "../receipt/receipt.ts";

/** The two notes as evidence, or null where they do not contradict each other. */
export function packFork(crypto: Crypto, key: string, first: string, second: string): EvidenceOf<"fork"> | null {
  const [a, b] = [verifyCheckpoint(crypto, key, first), verifyCheckpoint(crypto, key, second)];
  if (!a || !b || a.origin !== b.origin || a.size !== b.size || a.root === b.root) return null;
  return { format: EVIDENCE_FORMAT, kind: "fork", key, first, second };
}

export function packContradiction(first: Envelope, second: Envelope): EvidenceOf<"contradiction"> {
  return { format: EVIDENCE_FORMAT, kind: "contradiction", first, second };
}

export const isEvidence = (untrusted: unknown): boolean => (untrusted as { format?: unknown } | null)?.format === EVIDENCE_FORMAT;

interface Finding {
  /** Whose key. */
  key: string;
  says: string;
}

/** What the evidence proves; null where it proves nothing. */
function findingOf(crypto: Crypto, evidence: Evidence): Finding | null {
  switch (evidence.kind) {
    case "fork": {
      const { key, first, second } = evidence;
      if (!packFork(crypto, key, first, second)) return null;
      return { key, says: `signed two different logs of ${verifyCheckpoint(crypto, key, first)!.size} leaves under one name: its broker cheats` };
    }
    case "contradiction": {
      const found = contradictionIn(crypto, evidence.first, evidence.second);
      return found && { key: found.signer, says: `signed two documents of kind ${found.kind} where there may be one: this ${found.who} cheats` };
    }
    case "sold-twice":
      return soldTwice(crypto, evidence.documents);
    case "broken-promise":
      return brokenPromise(crypto, evidence);
  }
}

function soldTwice(crypto: Crypto, [firstOrder, firstOpening, secondOrder, secondOpening]: EvidenceOf<"sold-twice">["documents"]): Finding | null {
  const pos = [firstOrder, secondOrder].map((envelope) => parseDocumentOf(crypto, "purchase-order", envelope));
  const openings = [firstOpening, secondOpening].map((envelope) => parseDocumentOf(crypto, "opening", envelope));
  if (![...pos, ...openings].every(({ ok }) => ok)) return null;
  const [one, two] = pos.map((parsed) => (parsed as { document: SignedDocument<"purchase-order"> }).document) as [
    SignedDocument<"purchase-order">,
    SignedDocument<"purchase-order">,
  ];
  const opened = openings.map((parsed) => (parsed as { document: SignedDocument<"opening"> }).document);
  const key = one.keyid;
  const together = one.id !== two.id && one.payload.orderId === two.payload.orderId && one.payload.slot === two.payload.slot;
  const signed = [one, two, ...opened].every(({ keyid }) => keyid === key);
  const right = opened[0]!.payload.lease === one.id && opened[1]!.payload.lease === two.id;
  return together && signed && right ? { key, says: "opened two leases for one slot of an order: its broker cheats" } : null;
}

/** When the broker accepted the document behind a leaf, by the leaf's own bytes. */
function acceptedAt(leaf: Uint8Array): number | null {
  try {
    const { at } = JSON.parse(parseUtf8(leaf) ?? "") as { at?: unknown };
    return typeof at === "number" ? at : null;
  } catch {
    return null;
  }
}

function brokenPromise(crypto: Crypto, { key, promise, checkpoint, leaves, later }: EvidenceOf<"broken-promise">): Finding | null {
  const log = verifyCheckpoint(crypto, key, checkpoint);
  const leaf = fromBase64(later.leaf);
  if (!log || !leaf || log.size !== leaves.length || !log.origin.startsWith(`${promise.origin}/log/`)) return null;
  if (!verifyPromise(crypto, promise.keyid, promise)) return null;
  if (
    toHex(
      rootOfLeaves(
        crypto,
        leaves.map((hash) => fromHex(hash)!),
      ),
    ) !== log.root ||
    toHex(leafHash(crypto, leaf)) !== leaves[later.index]
  )
    return null;
  const at = acceptedAt(leaf);
  if (at === null || at <= promise.mergeBy || leaves.slice(0, later.index).includes(promise.leaf)) return null;
  const where = leaves.includes(promise.leaf) ? "logged it after" : "did not log it before";
  return { key: promise.keyid, says: `promised a leaf by ${promise.mergeBy} and ${where} what it accepted at ${at}: its broker drops or backdates documents` };
}

/** The promise as evidence against this log; null while it is kept, or cannot be shown broken yet. `leaves`: the bytes of all its leaves. */
export function packBrokenPromise(
  crypto: Crypto,
  key: string,
  promise: EvidenceOf<"broken-promise">["promise"],
  checkpoint: string,
  leaves: readonly Uint8Array[],
  encode: (bytes: Uint8Array) => string,
): EvidenceOf<"broken-promise"> | null {
  const index = leaves.findIndex((leaf) => (acceptedAt(leaf) ?? 0) > promise.mergeBy);
  if (index < 0) return null;
  const hashes = leaves.map((leaf) => toHex(leafHash(crypto, leaf)));
  const later = { index, leaf: encode(leaves[index]!) };
  const evidence: EvidenceOf<"broken-promise"> = { format: EVIDENCE_FORMAT, kind: "broken-promise", key, promise, checkpoint, leaves: hashes, later };
  return brokenPromise(crypto, evidence) ? evidence : null;
}

/** `pinned`: the keys this machine trusts, when it knows the market. */
export function verifyEvidence(crypto: Crypto, untrusted: unknown, pinned: MarketPins["keys"] | null): Verification {
  const parsed = zEvidence.safeParse(untrusted);
  if (!parsed.success)
    return { ok: false, lines: [{ status: "failed", check: "file", says: `this is not evidence: ${parsed.error.issues[0]?.path.join(".")}` }] };
  const { kind } = parsed.data;
  const finding = findingOf(crypto, parsed.data);
  const whose = finding && pinned && Object.values(pinned).includes(finding.key) ? "the market you are logged in to" : `the key ${finding?.key.slice(0, 16)}…`;
  const line: Line = finding
    ? { status: "proved", check: kind, says: `${whose} ${finding.says}` }
    : { status: "failed", check: kind, says: "it proves nothing: both can be honest, or a signature is not that key's" };
  return { ok: finding !== null, lines: [line] };
}
