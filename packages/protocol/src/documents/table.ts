/**
 * The document table: for every kind who may sign it, for whom it speaks, what scope its key needs, whether it stands in the log for
 * everyone to read, by what it may be said only once, to whom it goes, and whether a side that reconnects needs it. Total: a kind without
 * a column does not compile, and nobody obeys a document for its kind alone (PROTOCOL section 1).
 */
import type { KeyRole, Scope } from "@xenoservers/market";
import type * as z from "zod/mini";
import type { Json } from "../canonical.ts";
import { EARLIER, SCHEMAS, type Kind, type Payload } from "./schemas.ts";

export type BrokerKey = "orders" | "receipts" | "checkpoints";

/** One way in which a kind may be signed. */
export type SignerRule =
  /** `scope`: what the key must be allowed; null: nothing beyond its role. */
  | { by: "party"; roles: readonly KeyRole[]; scope: Scope | null }
  /** By the key that the document itself introduces. */
  | { by: "self" }
  | { by: "operator" }
  | { by: "broker"; key: BrokerKey };

/** What may be said once: two documents of one signer under one key that do not say the same contradict each other. */
export interface Once<K extends Kind> {
  by(payload: Payload<K>): string;
  /** In one epoch of the log, for what a restore has undone is said anew; or ever. Parties restore nothing of the market's. */
  within: "epoch" | "ever";
  /** What both must say the same; null: it says nothing that could be contradicted. `outcome`: what the job came to, if others can tell. */
  says: ((payload: Payload<K>) => Json | null) | "outcome";
}

interface KindRow<K extends Kind> {
  /** That is signed; earlier ones that are read stand in `schemas.ts`. */
  version: 1 | 2 | 3;
  signers: readonly SignerRule[];
  /** The party that the document speaks for, whose key must have signed it; null: whoever signed. */
  speaksFor(payload: Payload<K>): string | null;
  /** The server it speaks for, whose own key a server's key must be. */
  server: ((payload: Payload<K>) => string) | null;
  /** Plain in the public log (everything else is a salted commitment). */
  public: boolean;
  /** What its signer may say only once; null: it may say it as often as it likes. */
  once: readonly Once<K>[] | null;
  /** To which connected sides it goes as soon as it is filed. */
  to: readonly ("server" | "customer")[];
  /** Whether a server that reconnects needs it of each of its live leases. */
  live: boolean;
}

const ROOT = ["root"] as const satisfies readonly KeyRole[];
const PEOPLE = ["root", "device"] as const satisfies readonly KeyRole[];
const CUSTOMER = ["root", "device", "ci"] as const satisfies readonly KeyRole[];
const by = (roles: readonly KeyRole[], scope: Scope | null): readonly SignerRule[] => [{ by: "party", roles, scope }];
const broker = (key: BrokerKey): readonly SignerRule[] => [{ by: "broker", key }];
const SERVER = by(["server"], "serve");
const OPERATOR: readonly SignerRule[] = [{ by: "operator" }];

const noServer = { server: null } as const;
const nobody = { speaksFor: () => null } as const;
const party = { speaksFor: (payload: { party: string }) => payload.party } as const;
const owner = { speaksFor: (payload: { owner: string }) => payload.owner } as const;
const ofServer = { server: (payload: { server: string }) => payload.server } as const;
const byLease = (payload: { lease: string }): string => payload.lease;
const ofIncarnation = ({ lease, incarnation }: { lease: string; incarnation: number }): string => `${lease}/${incarnation}`;

/** All of a payload but what its signer had seen of the log, and these. */
const allBut =
  (...left: readonly string[]) =>
  (payload: object): Json =>
    // a parsed payload is JSON
    Object.fromEntries(Object.entries(payload).filter(([key]) => key !== "seen" && !left.includes(key))) as Json;

const ever = <K extends Kind>(by: Once<K>["by"], says: Once<K>["says"] = allBut()): readonly Once<K>[] => [{ by, within: "ever", says }];
/** Of the broker's and its operator's documents. */
const inEpoch = <K extends Kind>(by: Once<K>["by"]): readonly Once<K>[] => [{ by, within: "epoch", says: allBut() }];

/** A document of a party, the operator or the broker that concerns no lease. */
const apart = { version: 1, ...noServer, once: null, to: [], live: false } as const;
const ofLease = { version: 1, ...noServer, public: false, once: null, to: [], live: false } as const;
const toServer = { to: ["server"], live: false } as const;
const liveAtServer = { to: ["server"], live: true } as const;

export const KIND_TABLE: { readonly [K in Kind]: KindRow<K> } = {
  party: { ...apart, ...party, signers: [{ by: "self" }], public: true },
  "key-grant": { ...apart, ...party, signers: [...by(ROOT, "manage"), ...by(["enrol"], "enrol")], public: true },
  "key-revoke": { ...apart, ...party, signers: by(ROOT, "manage"), public: true },
  "key-rotate": { ...apart, ...party, signers: by(ROOT, "manage"), public: true },
  login: { ...apart, ...party, signers: [...by([...CUSTOMER, "server"], null), ...OPERATOR], public: false },
  account: { ...apart, ...party, signers: by(ROOT, "manage"), public: false },
  "account-limit": { ...apart, ...party, signers: by(ROOT, "manage"), public: false },
  payout: { ...apart, ...party, signers: by(ROOT, "manage"), public: false },
  stake: { ...apart, ...party, signers: by(ROOT, "manage"), public: false },
  credit: { ...apart, ...nobody, signers: OPERATOR, public: false },
  suspension: { ...apart, ...nobody, signers: OPERATOR, public: true },
  fee: { ...apart, ...nobody, signers: OPERATOR, public: true },
  referee: { ...apart, ...nobody, signers: OPERATOR, public: true },
  witness: { ...apart, ...nobody, signers: OPERATOR, public: true },
  // a server that lost its disk counts its offers anew: two of one sequence are no lie, and the one that was bound stands in the purchase
  // order
  offer: { ...apart, version: 3, ...owner, ...ofServer, signers: SERVER, public: true },
  "offer-withdrawal": { ...apart, ...owner, ...ofServer, signers: SERVER, public: true },
  batch: { ...apart, ...party, signers: by(CUSTOMER, "spend"), public: false, once: ever((batch) => `${batch.party}/${batch.clientId}`) },
  "batch-close": { ...apart, ...party, signers: by(CUSTOMER, "control"), public: false },
  order: { ...ofLease, ...party, signers: by(CUSTOMER, "spend"), once: ever((order) => `${order.party}/${order.clientId}`) },
  "order-withdrawal": { ...ofLease, ...party, signers: [...by(CUSTOMER, "control"), ...by(CUSTOMER, "spend")] },
  "purchase-order": {
    ...{ ...ofLease, ...nobody, ...liveAtServer, signers: broker("orders") },
    once: inEpoch((po) => `${po.orderId}/${po.slot}/${po.attempt}`),
  },
  acceptance: { ...ofLease, ...nobody, ...ofServer, signers: SERVER, once: ever(byLease) },
  opening: { ...ofLease, ...nobody, signers: broker("orders"), live: true, once: inEpoch((opening) => `${opening.order}/${opening.slot}`) },
  commitment: { ...ofLease, ...nobody, ...ofServer, signers: SERVER, once: ever(ofIncarnation) },
  reveal: { ...ofLease, ...nobody, ...liveAtServer, signers: broker("orders"), once: inEpoch(byLease) },
  claim: { ...ofLease, ...nobody, signers: SERVER, once: ever((claim) => `${ofIncarnation(claim)}/${claim.sequence}`) },
  "claim-receipt": {
    ...ofLease,
    ...nobody,
    signers: broker("receipts"),
    once: inEpoch((receipt) => `${receipt.lease}/${receipt.sequence}`),
  },
  stop: { ...ofLease, ...party, ...liveAtServer, signers: by(CUSTOMER, "control") },
  extension: { ...ofLease, ...party, signers: by(CUSTOMER, "spend") },
  amendment: {
    ...ofLease,
    ...nobody,
    ...liveAtServer,
    signers: broker("orders"),
    once: inEpoch((amendment) => `${amendment.lease}/${amendment.previous}`),
  },
  // it counts once, in a takeover, and is void by the next claim: two of them are no lie
  handover: { ...ofLease, ...nobody, ...ofServer, signers: SERVER },
  takeover: { ...ofLease, ...nobody, ...ofServer, signers: SERVER },
  move: {
    ...{ ...ofLease, ...nobody, ...liveAtServer, signers: broker("orders") },
    once: inEpoch((move) => `${move.lease}/${move.previous}`),
  },
  closing: { ...ofLease, ...nobody, ...toServer, signers: broker("receipts"), once: inEpoch(byLease) },
  // whatever it ended by, a server says it once; and what a job came to is the same whenever it is run again
  result: {
    ...{ ...ofLease, ...nobody, ...ofServer, signers: SERVER },
    once: [...ever<"result">(ofIncarnation, allBut("nonce")), ...ever<"result">(byLease, "outcome")],
  },
  delivery: { ...ofLease, ...nobody, ...toServer, signers: [...by(CUSTOMER, "control"), ...by(CUSTOMER, "spend"), ...broker("receipts")] },
  settlement: { ...ofLease, ...nobody, ...toServer, signers: broker("receipts"), once: inEpoch(byLease) },
  gap: { ...apart, ...nobody, signers: broker("receipts"), public: true, once: inEpoch((gap) => `${gap.origin}/${gap.from}`) },
  // another secret than the one that was fixed convicts nobody twice, and a restored broker ends the round of its backup again
  "audit-round": {
    ...{ ...apart, ...nobody, signers: broker("receipts"), public: true },
    once: ever(({ origin, epoch, round }) => `${origin}/${epoch}/${round}`),
  },
  "audit-reveal": { ...apart, ...nobody, signers: broker("receipts"), public: true },
  objection: { ...ofLease, ...party, signers: by([...PEOPLE, "server"], "dispute") },
  ruling: { ...ofLease, ...nobody, signers: OPERATOR, once: inEpoch(byLease) },
  "trace-request": { ...ofLease, ...party, ...liveAtServer, signers: by(PEOPLE, "dispute") },
  // a server that could not trace the job may have been able to later
  trace: {
    ...{ ...ofLease, ...nobody, ...ofServer, signers: SERVER },
    once: ever<"trace">(
      (trace) => trace.request,
      (trace) => (trace.detail === "" ? allBut()(trace) : null),
    ),
  },
  dispute: { ...ofLease, version: 2, ...party, ...toServer, signers: by(CUSTOMER, "dispute") },
  draw: { ...ofLease, ...nobody, ...toServer, signers: broker("receipts"), once: inEpoch((draw) => `${draw.lease}/${draw.round}`) },
  verdict: { ...ofLease, ...nobody, ...toServer, signers: broker("receipts"), public: true, once: inEpoch(byLease) },
  appeal: { ...ofLease, ...party, signers: by([...PEOPLE, "server"], "dispute") },
  review: { ...ofLease, ...nobody, ...toServer, signers: broker("receipts"), public: true, once: inEpoch(byLease) },
  "market-keys": {
    ...{ ...apart, ...nobody, signers: OPERATOR, public: true },
    once: ever((set) => `${set.origin}/${set.sequence}`),
  },
  // a market begins once; every later epoch follows one
  epoch: {
    ...{ ...apart, ...nobody, signers: broker("receipts"), public: true },
    once: ever((epoch) => `${epoch.origin}/${epoch.previous === null ? "first" : epoch.epoch}`),
  },
};

const isKind = (text: string): text is Kind => Object.hasOwn(SCHEMAS, text);
export const KINDS: readonly Kind[] = Object.keys(SCHEMAS).filter(isKind);

const PAYLOADS: { readonly [K in Kind]: z.ZodMiniType<Payload<K>> } = SCHEMAS;
export const schemaOf = <K extends Kind>(kind: K): z.ZodMiniType<Payload<K>> => PAYLOADS[kind];
export const rowOf = <K extends Kind>(kind: K): KindRow<K> => KIND_TABLE[kind];

/** The version of a kind stands in its payload type (`application/vnd.xenoservers.KIND.vN+json`). */
const typeOf = (kind: Kind, version: number | string): string => `application/vnd.xenoservers.${kind}.v${version}+json`;
/** As it is signed now. */
export const payloadType = (kind: Kind): string => typeOf(kind, KIND_TABLE[kind].version);

/** A kind as one version of it is read. */
interface Read<K extends Kind = Kind> {
  kind: K;
  readonly schema: z.ZodMiniType<Payload<K>>;
}

function earlierOf<K extends Kind>(kind: K): [string, Read<K>][] {
  const earlier: Readonly<Record<string, z.ZodMiniType<Payload<K>>>> = EARLIER[kind] ?? {};
  return Object.entries(earlier).map(([version, schema]) => [typeOf(kind, version), { kind, schema }]);
}

const readOf = (kind: Kind): Read => ({
  kind,
  get schema() {
    return schemaOf(kind);
  },
});

/** Every version of every kind that is read, by its payload type. */
export const READ_TYPES: ReadonlyMap<string, Read> = new Map(
  KINDS.flatMap((kind): [string, Read][] => [[payloadType(kind), readOf(kind)], ...earlierOf(kind)]),
);
