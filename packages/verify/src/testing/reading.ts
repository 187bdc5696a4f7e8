/** A receipt as the oracle reads it: who signed which document, and where it stands in the log. */
import {
  KINDS,
  KIND_TABLE,
  fromBase64,
  leafHashOf,
  parseCanonical,
  preAuthEncoding,
  toHex,
  type Envelope,
  type Kind,
  type Payload,
  type Receipt,
  type ReceiptDocument,
} from "@xenoservers/protocol";
import type { Cast, KeyName } from "./cast.ts";

/** A document of the receipt as the oracle reads it; `by`: null where the signature is not that key's. */
export interface Read<K extends Kind = Kind> {
  kind: K;
  id: string;
  payload: Payload<K>;
  by: KeyName | null;
  at: number;
  /** In the log's order, without a place last. */
  place: number;
  isLogged: boolean;
}

/** As it is signed now: the stories are of today. */
const TYPES: ReadonlyMap<string, Kind> = new Map(
  KINDS.map((kind) => [`application/vnd.xenoservers.${kind}.v${KIND_TABLE[kind].version}+json`, kind]),
);

type SaidIn = Pick<Read, "kind" | "id" | "payload" | "by">;
/** Most documents of a forgery stand in others too. */
const known = new Map<string, SaidIn | null>();
const KNOWN_MAX = 20_000;

function saidIn(cast: Cast, envelope: Envelope): SaidIn | null {
  const { keyid, sig } = envelope.signatures[0];
  const name = `${keyid}${sig}${envelope.payloadType}${envelope.payload}`;
  const before = known.get(name);
  if (before !== undefined) return before;
  if (known.size >= KNOWN_MAX) known.clear();
  const said = readOnce(cast, envelope);
  known.set(name, said);
  return said;
}

function readOnce(cast: Cast, envelope: Envelope): SaidIn | null {
  const { crypto } = cast;
  const kind = TYPES.get(envelope.payloadType);
  const bytes = fromBase64(envelope.payload);
  const signature = fromBase64(envelope.signatures[0].sig);
  const payload = bytes && parseCanonical(bytes);
  if (!kind || !bytes || !signature || payload === null) return null;
  const signed = preAuthEncoding(envelope.payloadType, bytes);
  const { keyid } = envelope.signatures[0];
  const by = crypto.verify(keyid, signed, signature) ? cast.nameOf(keyid) : null;
  return { kind, id: toHex(crypto.sha256(signed)), payload: payload as unknown as Payload<Kind>, by };
}

export class Reading {
  readonly cast: Cast;
  readonly all: Read[];
  readonly isWhole: boolean;

  constructor(cast: Cast, receipt: Receipt) {
    this.cast = cast;
    const stored = [...receipt.documents, ...receipt.leaves];
    this.all = stored.flatMap((each) => this.read(each.envelope, each) ?? []).sort((a, b) => a.place - b.place || a.at - b.at);
    this.isWhole =
      this.all.length === stored.length &&
      stored.every((each) => this.#opens(each)) &&
      new Set(stored.map(({ id }) => id)).size === stored.length;
  }

  read(envelope: Envelope, stored: Pick<ReceiptDocument, "at" | "index">): Read | null {
    const said = saidIn(this.cast, envelope);
    return said && { ...said, at: stored.at, place: stored.index ?? Number.MAX_SAFE_INTEGER, isLogged: stored.index !== null };
  }

  #opens(stored: ReceiptDocument): boolean {
    const read = this.read(stored.envelope, stored);
    if (!read || read.by === null || read.id !== stored.id || read.kind !== stored.kind) return false;
    return (
      leafHashOf(this.cast.crypto, { id: read.id, kind: read.kind, envelope: stored.envelope }, stored.at, stored.salt) === stored.leaf
    );
  }

  of<K extends Kind>(kind: K): Read<K>[] {
    return this.all.filter((each): each is Read<K> => each.kind === kind);
  }

  /** The lease's purchase order: any other is no part of it. */
  purchaseOrder(lease: string): Read<"purchase-order"> | null {
    return this.of("purchase-order").find(({ id }) => id === lease) ?? null;
  }

  /** The only one of its kind; null where there is none, or several. */
  one<K extends Kind>(kind: K): Read<K> | null {
    const found = this.of(kind);
    return found.length === 1 ? (found[0] ?? null) : null;
  }
}
