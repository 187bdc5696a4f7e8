/** What a handler answers: a refusal, or a change to commit and the effects that follow once it is committed. */
import {
  invariant,
  type BalanceKey,
  type Floor,
  type Resources,
  type Shortfall,
  type Transfer,
  type WaitingOrder,
} from "@xenoservers/market";
import {
  leafHashOf,
  rowOf,
  signDocument,
  signPromise,
  toHex,
  utf8,
  verifySigner,
  type AnyDocument,
  type BrokerKey,
  type Envelope,
  type Json,
  type Kind,
  type Payload,
  type Promised,
  type Refusal,
  type SignedDocument,
  type Verified,
} from "@xenoservers/protocol";
import type { Change, MarketEvent, Put, ServerRow, StoredDocument } from "../store/store.ts";
import type { BrokerKeys } from "../config.ts";
import type { Services, Round } from "./round.ts";

/** Done after the commit, in this process only; whoever misses one finds the same facts in the store. */
export type Effect =
  | { kind: "to-server"; server: string; filed: readonly FiledEnvelope[] }
  | { kind: "index-server"; row: ServerRow }
  | { kind: "index-free"; server: string; resources: Resources; sign: 1 | -1 }
  | { kind: "refresh-free"; server: string }
  | { kind: "refresh-owner"; owner: string }
  | { kind: "index-suspended"; party: string; suspended: boolean }
  | { kind: "index-referee"; server: string; isReferee: boolean }
  | { kind: "key-revoked"; key: string }
  | { kind: "order-waits"; order: WaitingOrder }
  | { kind: "order-waits-no-more"; order: string }
  | ({ kind: "lease-moved" } & LeaseMoved)
  | { kind: "event"; event: MarketEvent };

/** A lease is in another state than before. `reason`: why it ended, where this is its end. */
export interface LeaseMoved {
  lease: string;
  server: string;
  from: string;
  state: string;
  reason: string | null;
}

/** A document as its receivers fold it: the signed bytes and the log's time. */
export interface FiledEnvelope {
  envelope: Envelope;
  at: number;
}

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
  /** Log time, where it is not the round's. */
  at?: number;
}

export interface Plan {
  /** Idempotency key; the submitted document's id where there is one. */
  id: string;
  filed: readonly Filed[];
  answer?: { [key: string]: Json };
  puts?: readonly Put[];
  transfers?: readonly (Transfer | null)[];
  floors?: readonly Floor[];
  uniques?: readonly string[];
  events?: readonly Omit<MarketEvent, "at">[];
  effects?: readonly Effect[];
}

const saltOf = (services: Services, documentId: string): string =>
  toHex(services.crypto.hmacSha256(services.keys.secret, utf8(`salt ${documentId}`)));

function store(services: Services, at: number, { document, lease, parties }: Filed): StoredDocument {
  const { id, kind, envelope } = document;
  const salt = saltOf(services, id);
  return {
    id,
    kind,
    lease: lease ?? null,
    parties: [...new Set(parties)],
    envelope,
    at,
    salt,
    leaf: leafHashOf(services.crypto, { id, kind, envelope }, at, salt),
  };
}

function promiseOf({ keys, config, log }: Services, { leaf, at }: StoredDocument): Promised {
  const { epoch, size } = log.seen;
  return signPromise(keys.receipts, { origin: config.origin, epoch, size, leaf, mergeBy: at + config.mergeDelayMs });
}

/** A transfer, or null for nothing to move. `short`: what falling short of it means; null where the money was set aside before. */
export function transfer(
  id: string,
  debit: BalanceKey,
  credit: BalanceKey,
  amount: bigint,
  short: Shortfall | null = null,
): Transfer | null {
  return amount > 0n ? { id, debit, credit, amount, short } : null;
}

/** Turns a plan into a change: files the documents with their leaves and puts the promise into the answer. */
export function planned(round: Round, plan: Plan): Planned {
  const { services, at } = round;
  const documents = plan.filed.map((filed) => store(services, filed.at ?? at, filed));
  const first = documents[0];
  const promise = first ? promiseOf(services, first) : null;
  const events = (plan.events ?? []).map((event) => ({ ...event, at }));
  const answer = {
    id: plan.id,
    at: first?.at ?? at,
    ...(promise && first ? { promise, salt: first.salt } : {}),
    ...plan.answer,
  } as unknown as Json;
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

/** What a document was answered when it was first filed; nothing changes. Null: it never was. */
export async function answerAgain({ services }: Round, id: string): Promise<Planned | null> {
  const answer = await services.store.answerTo(id);
  if (answer === null) return null;
  return {
    ok: true,
    change: { id, answer, uniques: [], puts: [], floors: [], transfers: [], documents: [], events: [] },
    effects: [],
  };
}

/** Several plans in one change: all of it or nothing. The first one's is the answer. */
export function alongside(first: Omit<Planned, "ok">, ...others: readonly Omit<Planned, "ok">[]): Omit<Planned, "ok"> {
  const plans = [first, ...others];
  const change: Change = {
    ...first.change,
    // the replicas of one order share its name
    uniques: [...new Set(plans.flatMap(({ change: { uniques } }) => uniques))],
    puts: plans.flatMap(({ change: { puts } }) => puts),
    floors: plans.flatMap(({ change: { floors } }) => floors),
    transfers: plans.flatMap(({ change: { transfers } }) => transfers),
    documents: plans.flatMap(({ change: { documents } }) => documents),
    events: plans.flatMap(({ change: { events } }) => events),
  };
  return { change, effects: plans.flatMap(({ effects }) => effects) };
}

/** An envelope as it stands in an answer or a row. */
export const envelopeJson = ({ payloadType, payload, signatures }: Envelope): Json => ({
  payloadType,
  payload,
  signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig })),
});

const BROKER_SIGNERS: Readonly<Record<BrokerKey, Exclude<keyof BrokerKeys, "secret">>> = {
  orders: "purchaseOrders",
  receipts: "receipts",
  checkpoints: "checkpoints",
};

/** Signs one of the broker's own documents with the key that the document table names for its kind. */
export function issue<K extends Kind>(round: Round, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Verified<K> {
  const { crypto, keys, config, market, log } = round.services;
  const rule = rowOf(kind).signers.find((signer) => signer.by === "broker");
  invariant(rule?.by === "broker", `the broker does not sign a ${kind}`);
  const full = { origin: config.origin, seen: log.seen, ...payload } as unknown as Payload<K>;
  const issued = verifySigner(signDocument(crypto, keys[BROKER_SIGNERS[rule.key]], kind, full), {
    crypto,
    market,
    key: null,
    at: round.at,
  });
  invariant(issued.ok, `the broker's own ${kind} is not its own`);
  return issued.document;
}
