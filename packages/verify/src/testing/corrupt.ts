/**
 * What anyone can do to a receipt's file, without any key: change bits and fields, take documents out, swap them, say that they wait for
 * the log.
 */
import { KINDS, leafHashOf, zReceipt, type Receipt, type ReceiptDocument } from "@xenoservers/protocol";
import type { Cast } from "./cast.ts";
import type { Rng } from "./rng.ts";

export interface Corrupted {
  receipt: Receipt;
  did: string;
}

const listOf = (rng: Rng, receipt: Receipt): ReceiptDocument[] => (rng.chance(0.75) ? receipt.documents : receipt.leaves);

/** Every letter of the file may be another: null where it is no receipt any more. */
function oneLetter(receipt: Receipt, rng: Rng): Receipt | null {
  const text = JSON.stringify(receipt);
  const at = rng.below(text.length);
  const changed =
    text.slice(0, at) +
    String.fromCharCode(rng.chance(0.5) ? text.charCodeAt(at) ^ (1 << rng.below(6)) : rng.between(32, 126)) +
    text.slice(at + 1);
  try {
    const parsed = zReceipt.safeParse(JSON.parse(changed));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

/** The leaf as it would be at another time or with another salt: anyone can work it out. */
function retimed(cast: Cast, stored: ReceiptDocument, at: number): ReceiptDocument {
  const { id, envelope, salt } = stored;
  const kind = KINDS.find((each) => each === stored.kind);
  return kind ? { ...stored, at, leaf: leafHashOf(cast.crypto, { id, kind, envelope }, at, salt) } : stored;
}

function waiting(cast: Cast, receipt: Receipt, rng: Rng): Receipt {
  const unplaced = (stored: ReceiptDocument): ReceiptDocument => {
    const at = rng.chance(0.15) ? Math.max(1, stored.at + rng.between(-90_000, 90_000)) : stored.at;
    return { ...retimed(cast, stored, at), index: null, proof: [] };
  };
  const from = rng.chance(0.5) ? 0 : rng.below(receipt.documents.length);
  const documents = receipt.documents.map((stored, i) => (i < from ? stored : unplaced(stored)));
  if (from > 0) return { ...receipt, documents };
  return { ...receipt, documents, leaves: receipt.leaves.map(unplaced), ...(rng.chance(0.5) ? { checkpoint: "", size: 0 } : {}) };
}

function otherField(rng: Rng, stored: ReceiptDocument, other: ReceiptDocument): ReceiptDocument {
  switch (rng.below(8)) {
    case 0:
      return { ...stored, at: stored.at + rng.between(-5_000, 5_000) };
    case 1:
      return { ...stored, salt: rng.chance(0.5) ? "" : rng.hex(32) };
    case 2:
      return { ...stored, index: rng.pick([null, 0, other.index, (stored.index ?? 0) + 1]) };
    case 3:
      return { ...stored, proof: rng.chance(0.5) ? other.proof : stored.proof.slice(1) };
    case 4:
      return { ...stored, envelope: other.envelope };
    case 5:
      return { ...stored, kind: other.kind };
    case 6:
      return { ...stored, leaf: other.leaf };
    default:
      return { ...stored, id: other.id };
  }
}

const CHAIN: readonly string[] = ["claim", "claim-receipt"];
const ROLES: readonly string[] = ["party", "key-grant", "key-rotate"];

/** Leaves some of these kinds out, or all; null where there are none. */
function without(list: readonly ReceiptDocument[], kinds: readonly string[], rng: Rng): ReceiptDocument[] | null {
  const share = rng.pick([0.3, 0.7, 1]);
  const left = list.filter(({ kind }) => !kinds.includes(kind) || !rng.chance(share));
  return left.length === list.length ? null : left;
}

/** One or some of its documents are outside the log, says whoever hands it over. */
function outside(receipt: Receipt, rng: Rng): Receipt {
  const share = rng.pick([0.05, 0.2]);
  const some = (list: readonly ReceiptDocument[]): ReceiptDocument[] =>
    list.map((stored) => (rng.chance(share) ? { ...stored, index: null, proof: [] } : stored));
  return { ...receipt, documents: some(receipt.documents), leaves: some(receipt.leaves) };
}

/** Documents of another lease among its own. */
export function mixed(receipt: Receipt, other: Receipt, rng: Rng): Receipt {
  const taken = Array.from({ length: rng.between(1, 3) }, () => rng.pick(other.documents)).map((stored) =>
    rng.chance(0.5) ? { ...stored, index: null, proof: [] } : stored,
  );
  const documents = rng.chance(0.5) ? [...receipt.documents, ...taken] : [...taken, ...receipt.documents];
  const replaced = documents.filter(
    (stored) => taken.includes(stored) || !rng.chance(0.3) || !taken.some(({ kind }) => kind === stored.kind),
  );
  return { ...receipt, documents: replaced };
}

/** What is left out, or said to be outside the log: anyone who has the file can do it. */
function lessened(receipt: Receipt, rng: Rng): Corrupted {
  switch (rng.below(3)) {
    case 0: {
      const documents = without(receipt.documents, CHAIN, rng);
      return { receipt: documents ? { ...receipt, documents } : receipt, did: "left claims out" };
    }
    case 1: {
      const leaves = without(receipt.leaves, ROLES, rng);
      return { receipt: leaves ? { ...receipt, leaves } : receipt, did: "left grants out" };
    }
    default:
      return { receipt: outside(receipt, rng), did: "said that some are outside the log" };
  }
}

export function corrupt(cast: Cast, honest: Receipt, rng: Rng): Corrupted {
  const receipt: Receipt = { ...honest, documents: [...honest.documents], leaves: [...honest.leaves] };
  const list = listOf(rng, receipt);
  const at = rng.below(list.length);
  const stored = list[at];
  const other = rng.pick(receipt.documents);
  if (!stored) return { receipt, did: "nothing" };
  switch (rng.below(12)) {
    case 9:
    case 10:
    case 11:
      return lessened(receipt, rng);
    case 0:
    case 1:
    case 2:
      return { receipt: oneLetter(receipt, rng) ?? receipt, did: "changed a letter" };
    case 3:
      list[at] = otherField(rng, stored, other);
      return { receipt, did: `changed a field of ${stored.kind}` };
    case 4:
      list.splice(at, 1);
      return { receipt, did: `took ${stored.kind} out` };
    case 5:
      listOf(rng, receipt).splice(rng.below(list.length + 1), 0, rng.chance(0.5) ? stored : { ...stored, index: null, proof: [] });
      return { receipt, did: `put ${stored.kind} in again` };
    case 6:
      return { receipt: waiting(cast, receipt, rng), did: "said that they wait for the log" };
    case 7: {
      const market = {
        ...receipt.market,
        ...rng.pick([
          { origin: "another/market" },
          { operatorKey: rng.hex(32) },
          { keys: { ...receipt.market.keys, receipts: rng.hex(32) } },
        ]),
      };
      return { receipt: { ...receipt, market }, did: "named another market" };
    }
    default:
      return {
        receipt: {
          ...receipt,
          ...rng.pick([{ lease: other.id }, { size: receipt.size + 1 }, { checkpoint: receipt.checkpoint.replace(/\n\d+\n/, "\n99\n") }]),
        },
        did: "changed the head",
      };
  }
}
