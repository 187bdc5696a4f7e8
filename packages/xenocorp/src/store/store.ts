/**
 * The Store port: what the desk needs of a database. All writing is one conditional commit of an array of changes; a change is data (what
 * must still be so, what is put, which money moves, which documents, leaves and events appear) and is applied whole or not at all. The
 * lifecycle rules stay in `market` and the desk; a store only compares and applies. docs/adr/0002 says why one commit instead of many
 * methods.
 */
import type { AllowanceKey, BeforeVerdict, Conduct, FailedFetches, Floor, Lease, OwnerRecord, Transfer } from "@xenoservers/market";
import type { Envelope, Json, Kind, KnownKey, Payload, Refusal } from "@xenoservers/protocol";
import type { ArchivePlace, LeaseStub, RowPlace } from "./archived.ts";
import type { LeaseSides, Reader } from "./reader.ts";

export interface PartyRow {
  id: string;
  name: string;
  rootKey: string;
  recoveryKey: string | null;
  account: string;
  suspended: boolean;
  suspensionReason: string;
  record: OwnerRecord;
  /** Of all its servers together. */
  conduct: Conduct;
  /** Of its orders as a customer; absent: none, as an earlier broker wrote it. */
  failedFetches?: FailedFetches;
  /** A rotation by the recovery key waits in public before it counts. */
  pendingRotation: { newRootKey: string; newRecoveryKey: string | null; effectiveAt: number } | null;
}

export interface KeyRow extends KnownKey {
  /** What its party calls it. */
  label: string;
  maxSpendPerDayNanos: string | null;
  /** The document that made it: its party's first one, a grant, a rotation. */
  grant: string;
  /** Of a root key that the recovery key brought: the document that announced it. */
  announced: string | null;
  /** The key that this document leans on: whose grant it is, or the root key that it replaced; null: a party's first root key. */
  grantedBy: string | null;
  /** The document that ended it. */
  revocation: string | null;
}

export interface AccountRow {
  id: string;
  party: string;
  parent: string | null;
  name: string;
  limitNanos: string | null;
}

/** As an earlier broker wrote it, it says nothing of what holds guests. */
type StoredOffer = Omit<Payload<"offer">, "holds"> & Partial<Pick<Payload<"offer">, "holds">>;

export interface ServerRow {
  id: string;
  owner: string;
  key: string;
  sequence: number;
  offerId: string | null;
  offer: StoredOffer | null;
  conduct: Conduct;
}

/** What an account may still spend, or a key on one day. */
export interface Allowance {
  of: { account: string } | { key: string };
  balance: AllowanceKey;
}

export interface BatchRow {
  id: string;
  party: string;
  account: string;
  /** The label that the key which opened it is bound to; null: it is bound to none. */
  label: string | null;
  /** The key that opened it, whose day its budget was charged to. */
  key: string;
  budgetNanos: string;
  /** Allowances that the budget was charged to and that what is left goes back to. */
  allowances: Allowance[];
  deadlineAt: number | null;
  open: boolean;
}

export interface OrderRow {
  id: string;
  customer: string;
  /** The lease of the latest attempt. */
  lease: string | null;
  attempt: number;
  triedServers: string[];
  /** Until when it waits, where it does now; else null. */
  deadlineAt: number | null;
  /** It waits for room. Absent: it never did. */
  waiting?: { since: number; until: number } | null;
  /** Until when its customer lets it wait; absent: not at all. */
  mayWaitUntil?: number;
  /** It waited, and came to nothing. */
  refused?: Pick<Refusal, "code" | "facts">;
}

/** A folded lease with what the broker alone keeps of it. */
export interface LeaseRow extends Lease {
  /** The leases of the other replicas of its order. */
  siblings: string[];
  /** The round of audits in which its result was logged; null: it has none, or no round was open. */
  auditRound: { id: string; round: number; from: number } | null;
  /** Where the money comes from: the customer's root account or a batch. */
  purse: string;
  allowances: Allowance[];
  /** The server on which room is kept for its referee's run. */
  seat: string | null;
  /** The latest lease that was ordered to judge it, and the one that convicted it. */
  judgedBy: { latest: string | null; convicting: string | null };
  /** What its verdict took from the owner's record, which an appeal may give back. */
  recordBefore: BeforeVerdict | null;
  /** When a timer has to look at it; null = never again. */
  deadlineAt: number | null;
}

interface SettingRow {
  id: string;
  value: Json;
}

export interface Entities {
  party: PartyRow;
  key: KeyRow;
  account: AccountRow;
  server: ServerRow;
  batch: BatchRow;
  order: OrderRow;
  lease: LeaseRow;
  setting: SettingRow;
}
export type EntityKind = keyof Entities;

/** Kinds of which a market has so few that all of them are read at once. */
type RareKind = Extract<Kind, "referee" | "witness" | "market-keys" | "epoch">;

export interface Versioned<T> {
  version: number;
  data: T;
}

export interface Put<K extends EntityKind = EntityKind> {
  kind: K;
  id: string;
  /** The version that must be there; 0 = none. */
  expect: number;
  data: Entities[K];
}

/** A document as the store keeps it: the signed bytes, who may see it, and its leaf. */
export interface StoredDocument {
  id: string;
  kind: Kind;
  lease: string | null;
  parties: string[];
  envelope: Envelope;
  at: number;
  salt: string;
  /** Leaf hash, hex. */
  leaf: string;
}

/** As the log needs it: the signed bytes of what is not public stand in no leaf, and may lie in the archive. */
export type LoggedDocument = Omit<StoredDocument, "envelope"> & { envelope: Envelope | null };

export interface MarketEvent {
  party: string;
  kind: string;
  lease: string | null;
  data: Json;
  at: number;
}
export interface StoredEvent extends MarketEvent {
  /** Opaque, ordered. */
  cursor: string;
}

/** What the market's other brokers are to do after a commit, and who says so. All changes of one commit have the same `id` and `by`. */
export interface Told {
  id: string;
  by: string;
  notes: readonly Note[];
}

/** What has changed, to be looked up by whoever has to do with it. */
export type Note =
  | { about: "documents"; server: string; documents: readonly string[] }
  | { about: "listing"; server: string }
  | { about: "party"; party: string }
  | { about: "referees" }
  | { about: "key"; key: string }
  | { about: "order"; order: string }
  | { about: "route"; server: string };

export interface Change {
  /** Idempotency key: a document's id, or the name of a timer's step. */
  id: string;
  /** What the submitter is told, now and on every repetition. */
  answer: Json;
  uniques: string[];
  puts: Put[];
  floors: Floor[];
  transfers: Transfer[];
  documents: StoredDocument[];
  events: MarketEvent[];
  /** Absent where no other broker has to do with it. */
  told?: Told;
}

export type CommitResult =
  | { status: "applied"; answer: Json }
  | { status: "replayed"; answer: Json }
  | { status: "conflict"; what: string }
  | { status: "id_reused"; what: string }
  /** A document of it is filed already, and what was answered is not kept any more. */
  | { status: "filed"; what: string }
  /** The store cannot hold it; the others of its batch are done as if it were not there. `what`: for the operator. */
  | { status: "refused"; what: string }
  | { status: "below_floor"; key: string; missing: bigint };

/** A part of a result's bytes, sealed for its customer: the broker cannot read them. */
export interface SealedRow {
  lease: string;
  /** From 0. */
  part: number;
  /** Of the server that sealed it. */
  owner: string;
  bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  digest: string;
  at: number;
  /** When they may be dropped. */
  until: number;
}

/** How much of all sealed bytes those of one owner's leases may be. */
export const SEALED_OWNER_SHARE = 4;

/** The digests of parts, ordered, up to where one is missing. */
export const inARow = (rows: readonly { part: number; digest: string }[]): string[] =>
  rows.filter(({ part }, i) => part === i).map(({ digest }) => digest);

export interface LogHead {
  /** Which in turn, here: the latest is the one that grows. */
  epoch: number;
  /** The epoch's name to everyone. */
  id: string;
  size: number;
  root: string;
  checkpoint: string;
}

export interface LogAppend {
  epoch: number;
  oldSize: number;
  leaves: { documentId: string; hash: string }[];
  nodes: { level: number; index: number; hash: string }[];
  head: LogHead;
  /** Absent where there is no other sequencer. */
  place?: LogPlace;
}

export type DueKind = "lease" | "batch" | "order";

/** How long a due timer stays with the broker that took it, in broker time. */
export const TURN_MS = 10_000;

/** Who appends to the log, and in which turn: another one that took over since has a later one. */
export interface LogPlace {
  broker: string;
  term: number;
}

/** What a proof of what moved has found. */
export interface BooksProof {
  /** Balances that are not what their transfers sum to. */
  wrong: { key: string; balance: bigint; sum: bigint }[];
  /** How many were read for it. */
  transfers: number;
  liveHolds: bigint;
  held: bigint;
  /** What lies where, over all accounts: `parties/available`, `xenocorp/pending`, …; a pot that nothing was ever in is not there. */
  pots: Map<string, bigint>;
}

/** Of what it keeps for itself. */
export const BROKER_ACCOUNT = "xenocorp";

/** Of each queue no more than this is counted: whoever sees it knows enough. */
export const QUEUED_MAX = 10_000;

/** What an operator watches: each figure costs what is live or waits, whatever ever happened. */
export interface Figures {
  /** Live leases by state. */
  leases: Map<string, number>;
  /** Timers whose time has come and that nobody has run, and since when the oldest waits, in broker time; null where none does. */
  due: { count: number; since: number | null };
  /** Documents that wait for their place in the log. */
  unlogged: number;
  /** What the market's brokers tell each other, until all have read it. */
  notes: number;
}

/** A movement of money, as a statement has it. */
export interface Entry {
  id: string;
  debit: string;
  credit: string;
  amount: bigint;
  at: number;
}

/** A part of a list, newest first. */
export interface Page<T> {
  rows: T[];
  /** The place after which the rest comes, whatever is new by then; null: there is no more. */
  next: string | null;
}

/** A lease's row that was written to the archive, as it was at this version. */
interface WrittenRow extends RowPlace {
  version: number;
}

/** Leases that a reader may see. `away`: those on this page whose rows lie in the archive, which cannot be read. */
interface LeasesPage extends Page<LeaseRow> {
  away: LeaseStub[];
}

export interface Store {
  /** Broker time in ms: the database's clock. */
  now(): Promise<number>;
  /** Says that a broker hears, at this broker time. */
  beat(at: number): Promise<void>;
  /** When one last said so; null where none ever did. */
  heardAt(): Promise<number | null>;
  /** Rows of leases that lie in the archive are read from there; throws ArchiveAway where one cannot be. */
  load<K extends EntityKind>(kind: K, ids: readonly string[]): Promise<Map<string, Versioned<Entities[K]>>>;
  /** Applies each change whole or not at all, in order; one durable commit for all of them, where all can be held. */
  commit(changes: readonly Change[]): Promise<CommitResult[]>;
  /** The answer given earlier to this idempotency key, while it is kept. */
  answerTo(id: string): Promise<Json | null>;

  balances(prefixes: readonly string[]): Promise<Map<string, bigint>>;
  /** After a place that an earlier page gave; null: from the newest. */
  statement(account: string, after: string | null, limit: number): Promise<Page<Entry>>;
  /** Those that are good now, and the latest so many of the others. */
  keysOf(party: string, now: number, endedMax: number): Promise<KeyRow[]>;
  /** Keys whose end is at `since` or later; whoever asks allows for changes that took long to commit. */
  keysRevokedSince(since: number): Promise<KeyRow[]>;
  /** Whether this challenge, good until then, is answered for the first time at any broker. */
  useChallenge(challenge: string, until: number, now: number): Promise<boolean>;
  accountsOf(party: string): Promise<AccountRow[]>;
  /** Those whose offer is good after this time. */
  listedServers(now: number): Promise<ServerRow[]>;
  /** Orders that wait for room, the first to come first. */
  waitingOrders(limit: number): Promise<OrderRow[]>;
  /** What the reader may see, after a place that an earlier page gave; null: from the newest. */
  leasesOf(reader: Reader, live: boolean, after: string | null, limit: number): Promise<LeasesPage>;
  /** Who may see these leases, without the archive, wherever their rows lie. */
  sidesOf(leases: readonly string[]): Promise<ReadonlyMap<string, LeaseSides>>;
  /** What the live leases that the reader may see hold together. */
  heldBy(reader: Reader): Promise<bigint>;
  /** Live ones, and those whose result it was asked to trace. */
  leasesServerMustKnow(server: string): Promise<LeaseRow[]>;
  /** Ids of up to three leases that the reader may see. */
  findLeases(reader: Reader, idPrefix: string): Promise<string[]>;
  /**
   * Rows with deadlineAt <= now, oldest first, that no other broker has taken. They are this one's to run for TURN_MS, or until it gives
   * them back: a broker that ends in between loses none.
   */
  due(kind: DueKind, now: number, limit: number, by: string): Promise<string[]>;
  giveBack(kind: DueKind, ids: readonly string[], by: string): Promise<void>;
  /** Leases that are over and of which nothing was said since before this time, the oldest so many that are not in the archive. */
  toArchive(before: number, limit: number): Promise<string[]>;
  /** This lease lies there, and the signed bytes of these documents of it, none of them public; false: it did already, or is not over. */
  archive(lease: string, place: ArchivePlace, documents: readonly string[]): Promise<boolean>;
  /** Whether anything lies there. */
  isArchived(): Promise<boolean>;
  /** Leases whose receipts lie there and whose rows are here, the oldest so many, and since when nothing was said of each. */
  rowsToArchive(limit: number): Promise<{ lease: string; over: number }[]>;
  /** These rows lie there: of each that is here, and as it was written there, no more than a stub stays. Returns how many went. */
  archiveRows(written: readonly WrittenRow[]): Promise<number>;
  document(id: string): Promise<StoredDocument | null>;
  documentsOf(lease: string): Promise<StoredDocument[]>;
  /** At most so many of them, after that one of them, or from the first on. `brief`: but for claims, and receipts of claims. */
  documentsAfter(lease: string, after: string | null, limit: number, brief?: boolean): Promise<StoredDocument[]>;
  /** The one that was filed last. */
  lastDocumentOf(lease: string): Promise<StoredDocument | null>;
  /** All documents of a kind of which there are few, in the order of their filing. */
  documentsOfKind(kind: RareKind): Promise<StoredDocument[]>;
  /**
   * Events for the reader after the cursor, oldest first; every committed event is seen exactly once by following cursors. A reader that is
   * bound to an account or label, and a server, sees those of its leases only. Null: of this party's events after the cursor some were
   * dropped.
   */
  events(reader: Reader, after: string | null, limit: number): Promise<StoredEvent[] | null>;
  /** Drops at most so many events, in the order of their places up to the first that happened at `before` or later; returns how many. */
  dropEvents(before: number, limit: number): Promise<number>;
  /** Drops at most so many answers given before this time, the oldest first; returns how many. */
  dropAnswers(before: number, limit: number): Promise<number>;
  /** As `events`, of all parties and unbound. */
  eventsOfAll(after: string, limit: number): Promise<StoredEvent[]>;
  /** The place before which nothing will come any more, for `eventsOfAll`. */
  eventsEnd(): Promise<string>;

  /**
   * Keeps a sealed part unless it is here (the first bytes stay), all together would be over `bytesMax`, or those of one owner over a
   * quarter of that. Returns the digest of what is kept now; null: full.
   */
  putSealed(row: SealedRow, bytesMax: number): Promise<string | null>;
  getSealed(lease: string, part: number): Promise<SealedRow | null>;
  /** Of the parts from the first to where one is missing. */
  sealedDigests(lease: string): Promise<string[]>;
  /** Drops what may be dropped by then; returns how many. */
  dropSealed(before: number): Promise<number>;

  logHead(): Promise<LogHead | null>;
  /** Documents accepted and not yet in the log. */
  logPending(limit: number): Promise<LoggedDocument[]>;
  /** Conditional on epoch, old size and place; false when another sequencer was first. */
  logAppend(append: LogAppend): Promise<boolean>;
  /** Of the latest epoch, or an earlier one. */
  logNodes(refs: readonly { level: number; index: number }[], epoch?: number): Promise<string[]>;
  /** The heads of all epochs, in turn; those that are over stand as they were restored. */
  logHeads(): Promise<LogHead[]>;
  /** Where each of these leaves stands in the latest epoch; what is not in it is left out. */
  logIndexesOf(leaves: readonly string[]): Promise<ReadonlyMap<string, number>>;
  logEntries(from: number, to: number): Promise<LoggedDocument[]>;
  /** Starts an epoch, whole or not at all: the new log is empty, its first leaf will be this document, and all that is kept follows. */
  logStartEpoch(head: LogHead, first: StoredDocument): Promise<void>;

  /** Proves the balances that moved since the last proof that found nothing wrong: its cost is that of the transfers since then. */
  proveBooks(): Promise<BooksProof>;
  /** `now`: broker time. */
  figures(now: number): Promise<Figures>;
  /** All books, in one snapshot, for the proof of everything. */
  audit(): Promise<{ balances: Map<string, bigint>; sums: Map<string, bigint>; liveHolds: bigint; held: bigint }>;
  close(): Promise<void>;
}
