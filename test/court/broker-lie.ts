/**
 * A broker that lies in one document: a lease's receipt is told again with it, everybody who follows on it signing again what they would
 * have, in a log that the broker has built for it; and whoever has the receipt folds it. Its desk cannot be made to lie, for it folds its
 * own documents too: here its keys do.
 */
import type { Lease } from "@xenoservers/market";
import {
  KIND_TABLE,
  bytesOfHex,
  leafHashOf,
  signCheckpoint,
  signDocument,
  type AnyDocument,
  type Kind,
  type Payload,
  type Receipt,
  type ReceiptDocument,
} from "@xenoservers/protocol";
import { verifyReceipt } from "@xenoservers/verify";
import { inLogOrder, openDocuments, type Entry } from "../../packages/verify/src/receipt/opened.ts";
import { tell } from "../../packages/verify/src/receipt/told.ts";
import { smallLog } from "../../packages/verify/src/testing/merkle.ts";
import type { Rng } from "../../packages/verify/src/testing/rng.ts";
import { lieAt, type Lie } from "./lie.ts";
import type { Played } from "./play.ts";
import { MARKET, crypto, signerOfKey } from "./room.ts";
import type { Told } from "./told.ts";

const isBrokers = (kind: Kind): boolean => KIND_TABLE[kind].signers.some(({ by }) => by === "broker");

const openedOf = (receipt: Receipt): Entry[] => {
  const opened = openDocuments(crypto, receipt);
  return opened.ok ? inLogOrder(opened.entries) : [];
};

/** What was said again: documents by the id, and the payload, that they had before. */
class Retelling {
  readonly #ids = new Map<string, string>();
  readonly #payloads = new Map<string, AnyDocument["envelope"]>();

  idOf = (before: string): string => this.#ids.get(before) ?? before;

  #again(value: unknown): unknown {
    if (typeof value === "string") return this.idOf(value);
    if (Array.isArray(value)) return value.map((each: unknown) => this.#again(each));
    if (typeof value !== "object" || value === null) return value;
    const { payload }: { payload?: unknown } = value;
    const embedded = typeof payload === "string" ? this.#payloads.get(payload) : undefined;
    return embedded ?? Object.fromEntries(Object.entries(value).map(([key, each]: [string, unknown]) => [key, this.#again(each)]));
  }

  #signed<K extends Kind>(kind: K, keyid: string, payload: object) {
    return signDocument(crypto, signerOfKey(keyid), kind, payload as Payload<K>);
  }

  /** The document as its signer says it now. */
  tell({ document }: Entry, lie: Lie | null): Pick<AnyDocument, "id" | "envelope"> {
    const told = lie?.tell(document.payload, []);
    const now = { ...Object(this.#again(document.payload)), ...told };
    if (lie && !told) return { id: document.id, envelope: lie.damage(document.envelope) };
    if (JSON.stringify(now) === JSON.stringify(document.payload)) return document;
    const signed = this.#signed(document.kind, document.keyid, now);
    this.#ids.set(document.id, signed.id);
    this.#payloads.set(document.envelope.payload, signed.envelope);
    return signed;
  }
}

function receiptAgain(honest: Receipt, entries: readonly Entry[], target: Entry, lie: Lie): { receipt: Receipt; again: Retelling } {
  const again = new Retelling();
  const placed = entries.map((entry) => {
    const { id, envelope } = again.tell(entry, entry === target ? lie : null);
    const { kind } = entry.document;
    return { entry, id, envelope, leaf: leafHashOf(crypto, { id, kind, envelope }, entry.at, entry.stored.salt) };
  });
  const log = smallLog(
    crypto,
    placed.map(({ leaf }) => bytesOfHex(leaf)),
  );
  const stored = placed.map(({ entry, id, envelope, leaf }, index): ReceiptDocument & { isLeaf: boolean } => ({
    ...{ kind: entry.document.kind, id, envelope, at: entry.at, salt: entry.stored.salt, leaf, index, proof: log.proofOf(index) },
    isLeaf: entry.isLeaf,
  }));
  const of = (leaves: boolean): ReceiptDocument[] => stored.filter(({ isLeaf }) => isLeaf === leaves).map(({ isLeaf: _, ...each }) => each);
  const [origin = ""] = honest.checkpoint.split("\n");
  const head = { origin, size: log.size, root: log.root };
  const checkpoint = signCheckpoint(crypto, signerOfKey(MARKET.keys.checkpoints), head);
  const receipt = { ...honest, lease: again.idOf(honest.lease), documents: of(false), leaves: of(true), checkpoint, size: log.size };
  return { receipt, again };
}

/** What a lease's money comes to: what was billed, and where it went if somebody decided it. Documents' ids are others in another log. */
const moneyOf = (lease: Lease | null): string =>
  JSON.stringify([lease?.end && { ...lease.end, auditRound: null }, lease?.final, lease?.state, lease?.holdNanos, lease?.stakeNanos]);

const leaseIn = (receipt: Receipt): Lease | null => tell(crypto, MARKET, openedOf(receipt)).lease;

/** `played` has a lease. */
export async function retold({ room, leases }: Played, seed: number, rng: Rng): Promise<Told> {
  const lease = rng.pick(leases);
  const honest = await room.receipt(lease.id);
  const entries = openedOf(honest);
  const own = entries.filter(({ document }) => isBrokers(document.kind));
  const kind = rng.pick([...new Set(own.map(({ document }) => document.kind))]);
  const target = rng.pick(own.filter(({ document }) => document.kind === kind));
  const place = { by: "broker" as const, kind, nth: 0 };
  const lie = lieAt(place, seed, { field: null }, rng.chance(0.05));
  const field = Object.keys(lie.tell(target.document.payload, []) ?? {})[0] ?? "";
  const { receipt, again } = receiptAgain(honest, entries, target, lie);
  const { publicKey } = room.customer.signer;
  const documents = entries.flatMap(({ document: { id, keyid } }) => (keyid === publicKey ? [again.idOf(id)] : []));
  const { ok, lines } = verifyReceipt(crypto, MARKET, receipt, { customerKey: publicKey, party: room.customer.party, documents });
  const end = lease.end?.reason ?? lease.state;
  const why = lines.find(({ status }) => status === "failed")?.says ?? "";
  const base = { lie: place, field, end, endWithout: end, isSegment: lease.segment, why, isShown: !ok };
  if (!ok) return { ...base, outcome: "refused" };
  const isSame = moneyOf(leaseIn(receipt)) === moneyOf(leaseIn(honest));
  return { ...base, outcome: isSame ? "harmless" : "gain", why: isSame ? "" : "its customer believes other money" };
}
