/** What a handler answers: a refusal, or a change to commit and the effects that follow once it is committed. */
import type { Resources } from "@xenoservers/market";
import {
  leafHashOf,
  signDocument,
  signPromise,
  toHex,
  utf8,
  type AnyDocument,
  type Envelope,
  type Json,
  type Kind,
  type Payload,
  type Refusal,
  type SignedDocument,
} from "@xenoservers/protocol";
import type { Change, MarketEvent, Put, ServerRow, StoredDocument, WireTransfer } from "../store/store.ts";
import type { Services, Round } from "./round.ts";
import type { Floor } from "@xenoservers/market";

/** Done after the commit, in this process only; whoever misses one finds the same facts in the store. */
export type Effect =
  | { kind: "to-server"; server: string; documents: Envelope[] }
  | { kind: "index-server"; row: ServerRow }
  | { kind: "index-free"; server: string; resources: Resources; sign: 1 | -1 }
  | { kind: "refresh-free"; server: string }
  | { kind: "index-suspended"; party: string; suspended: boolean }
  | { kind: "event"; event: MarketEvent };

export interface Planned {
  ok: true;
  change: Change;
  effects: Effect[];
}
export type Outcome = Planned | Refusal;

export interface Filed {
  document: SignedDocument | AnyDocument;
  lease?: string;
  parties: readonly string[];
}

export interface Plan {
  /** Idempotency key; the submitted document's id where there is one. */
  id: string;
  filed: readonly Filed[];
  answer?: { [key: string]: Json };
  puts?: readonly Put[];
  transfers?: readonly (WireTransfer | null)[];
  floors?: readonly Floor[];
  uniques?: readonly string[];
  events?: readonly Omit<MarketEvent, "at">[];
  effects?: readonly Effect[];
}

export const saltOf = (desk: Services, documentId: string): string => toHex(desk.crypto.hmacSha256(desk.keys.secret, utf8(`salt ${documentId}`)));

function store(desk: Services, at: number, { document, lease, parties }: Filed): StoredDocument {
  const { id, kind, envelope } = document;
  const salt = saltOf(desk, id);
  return {
    id,
    kind,
    lease: lease ?? null,
    parties: [...new Set(parties)],
    envelope,
    at,
    salt,
    leaf: leafHashOf(desk.crypto, { id, kind, envelope }, at, salt),
  };
}

/** A transfer, or null for nothing to move. */
export function transfer(id: string, debit: string, credit: string, amount: bigint): WireTransfer | null {
  return amount > 0n ? { id, debit, credit, amount } : null;
}

/** Turns a plan into a change: files the documents with their leaves and puts the promise into the answer. */
export function planned(round: Round, plan: Plan): Planned {
  const { desk, at } = round;
  const documents = plan.filed.map((filed) => store(desk, at, filed));
  const first = documents[0];
  const promise = first ? signPromise(desk.keys.receipts, desk.config.origin, first.leaf, at + desk.config.mergeDelayMs) : null;
  const events = (plan.events ?? []).map((event) => ({ ...event, at }));
  const answer = { id: plan.id, at, ...(promise && first ? { promise, salt: first.salt } : {}), ...plan.answer } as unknown as Json;
  return {
    ok: true,
    change: {
      id: plan.id,
      answer,
      uniques: [...(plan.uniques ?? [])],
      puts: [...(plan.puts ?? [])],
      floors: [...(plan.floors ?? [])],
      transfers: (plan.transfers ?? []).filter((entry) => entry !== null),
      documents,
      events,
    },
    effects: [...(plan.effects ?? []), ...events.map((event): Effect => ({ kind: "event", event }))],
  };
}

/** Signs one of the broker's own documents: purchase orders, openings, amendments and closings with one key, receipts and settlements with another. */
export function issue<K extends Kind>(round: Round, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): SignedDocument<K> {
  const { desk } = round;
  const signer = kind === "purchase-order" || kind === "opening" || kind === "reveal" || kind === "amendment" ? desk.keys.purchaseOrders : desk.keys.receipts;
  return signDocument(desk.crypto, signer, kind, { origin: desk.config.origin, seen: null, ...payload } as unknown as Payload<K>);
}
