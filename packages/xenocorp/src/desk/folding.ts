/**
 * One change of one lease: the broker folds the documents that come, adds its own that follow from them, and lets the books follow the
 * fold. Handlers decide nothing about a lease's life: `market/lease` does. Who controls the inputs: whoever signed each document,
 * verified before it comes here.
 */
import {
  OWNER_MISSES_FREE,
  billOf,
  NO_FAILED_FETCHES,
  conductAfter,
  failedFetchesAfter,
  deadlineOf,
  endOf,
  holdsCapacity,
  invariant,
  missesWeigh,
  recordAfter,
  recordCorrected,
  recordMissed,
  step,
  closingReason,
  type Ended,
  type Lease,
  type OwnerRecord,
  type Resources,
} from "@xenoservers/market";
import {
  KIND_TABLE,
  ofAnyKind,
  refuse,
  refuseFact,
  type AnyVerified,
  type Json,
  type Kind,
  type KnownKey,
  type Payload,
  type Refusal,
  type Verified,
} from "@xenoservers/protocol";
import { factOf, type FactWorld, type Findings } from "@xenoservers/verify";
import type { LeaseRow, PartyRow, Put, Versioned } from "../store/store.ts";
import { ALLOWANCE_FLOOR, allowancesAfter, type Purse } from "./accounts.ts";
import { auditRoundAt, auditRoundsOf, drawFor } from "./audit-rounds.ts";
import { gapsOf, withGaps } from "./hearing.ts";
import { moneyBetween } from "./money.ts";
import { issue, planned, type Effect, type Filed, type LeaseMoved, type Outcome, type Plan } from "./outcome.ts";
import type { Round } from "./round.ts";

export const bothParties = (lease: Pick<Lease, "customer" | "owner">): string[] => [lease.customer, lease.owner];

/** What the broker knows of these keys, for the fold. */
export async function worldOf(round: Round, keyids: readonly string[]): Promise<FactWorld> {
  const { crypto, market } = round.services;
  const rows = await Promise.all(keyids.map((id) => round.get("key", id)));
  const keys = new Map<string, KnownKey>(rows.flatMap((row) => (row ? [[row.data.id, row.data] as const] : [])));
  return { crypto, market, keyOf: (id) => keys.get(id) ?? null };
}

type Change = Omit<Plan, "filed" | "transfers" | "floors" | "puts" | "effects"> & {
  puts?: readonly Put[];
  effects?: readonly Effect[];
  /** When a timer looks at it again, where that is not the fold's deadline. */
  lookAt?: number;
};

/** What the log has beside the lease's own documents. */
interface Known {
  world: FactWorld;
  rounds: Awaited<ReturnType<typeof auditRoundsOf>>;
}

export class LeaseChange {
  readonly #round: Round;
  readonly #before: Versioned<LeaseRow>;
  readonly #world: FactWorld;
  readonly #rounds: Known["rounds"];
  readonly #filed: Filed[] = [];
  #drawn: Purse | null = null;
  /** Log time of this change: never before what the lease was last told. */
  readonly at: number;
  lease: LeaseRow;

  private constructor(round: Round, before: Versioned<LeaseRow>, lease: LeaseRow, { world, rounds }: Known) {
    this.#round = round;
    this.#before = before;
    this.#world = world;
    this.#rounds = rounds;
    this.lease = lease;
    this.at = Math.max(round.at, lease.toldAt);
  }

  /** `keyids`: of documents that are embedded in those to be taken. */
  static async of(round: Round, found: Versioned<LeaseRow>, keyids: readonly string[] = []): Promise<LeaseChange> {
    const [gaps, world, rounds] = await Promise.all([gapsOf(round), worldOf(round, keyids), auditRoundsOf(round)]);
    return new LeaseChange(round, found, withGaps(found.data, gaps), { world, rounds });
  }

  #fold(document: AnyVerified, findings: Findings): Refusal | null {
    const read = factOf(this.#world, document, this.at, findings);
    invariant(read !== null, `a ${document.kind} is no fact of a lease`);
    if (!read.ok) return read;
    const next = step(this.lease, read.fact);
    if (!next.ok) return refuseFact(next, { lease: this.lease.id });
    this.become(next.lease);
    if (document.kind === "result") this.lease = { ...this.lease, auditRound: auditRoundAt(this.#rounds, this.at) };
    this.#filed.push({ document, lease: this.lease.id, parties: bothParties(this.lease), at: this.at });
    return null;
  }

  /** Folds a document that somebody handed in; the refusal where the lease does not take it. */
  take(document: Verified, findings: Findings = {}): Refusal | null {
    return this.#fold(ofAnyKind(document), findings);
  }

  /** What is added to its hold counts against this purse's allowances. */
  drawOn(purse: Purse): void {
    this.#drawn = purse;
    this.lease = { ...this.lease, allowances: allowancesAfter(this.lease.allowances, purse.allowances) };
  }

  /** Signs and folds one of the broker's own documents. */
  issue<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">, findings: Findings = {}): Verified<K> {
    const document = issue(this.#round, kind, payload);
    const refusal = this.#fold(ofAnyKind(document), findings);
    invariant(refusal === null, `the broker's own ${kind} does not follow: ${JSON.stringify(refusal?.facts)}`);
    return document;
  }

  /** Closes and settles, where the fold has a reason to; the two documents, or null while the lease goes on. */
  settleIfOver(): { closing: Verified<"closing">; settlement: Verified<"settlement"> | null } | null {
    const reason = closingReason(this.lease, this.at);
    if (reason === null) return null;
    const { id } = this.lease;
    const closing = this.issue("closing", { lease: id, reason, at: this.at, lastClaim: this.lease.lastClaim?.id ?? null });
    if (this.lease.state !== "closed" || !this.lease.closing) return { closing, settlement: null };
    const draw = drawFor(this.#round.services, this.lease, reason, billOf(this.lease, this.lease.closing).dueNanos);
    const { at, ...end } = endOf(this.lease, this.lease.closing, draw);
    const settlement = this.issue("settlement", { lease: id, result: this.lease.result?.id ?? null, closing: closing.id, ...end, at });
    return { closing, settlement };
  }

  /** What a fact or a deadline made of it. Room for a referee is kept only while one is to judge. */
  become(lease: Lease): void {
    const seat = lease.state === "disputed" ? this.lease.seat : null;
    this.lease = { ...this.lease, ...lease, seat };
  }

  /** Room for its referee's run, or none any more. */
  seatOn(server: string | null): void {
    this.lease = { ...this.lease, seat: server };
  }

  /** Which lease was ordered to judge it, or has convicted it. */
  judgedBy(by: Partial<LeaseRow["judgedBy"]>): void {
    this.lease = { ...this.lease, judgedBy: { ...this.lease.judgedBy, ...by } };
  }

  get row(): LeaseRow {
    return { ...this.lease, deadlineAt: deadlineOf(this.lease) };
  }

  get put(): Put {
    return { kind: "lease", id: this.lease.id, expect: this.#before.version, data: this.row };
  }

  /** The room that this change gives back on a referee's server. */
  get freed(): Resources | null {
    const { seat, resources } = this.#before.data;
    return seat !== null && seat !== this.lease.seat ? resources : null;
  }

  get filed(): readonly Filed[] {
    return this.#filed;
  }

  get transfers() {
    return moneyBetween(this.#before.data, this.lease, this.#drawn?.allowances ?? []);
  }

  get effects(): Effect[] {
    const { server, resources } = this.lease;
    const { server: from } = this.#before.data;
    const filed = this.#filed.filter(({ document }) => KIND_TABLE[document.kind].to.includes("server"));
    const freed = holdsCapacity(this.#before.data.state) && !holdsCapacity(this.lease.state);
    const [seat, seated] = [this.#before.data.seat, this.lease.seat];
    const moved = this.#moved;
    return [
      ...(moved ? [{ kind: "lease-moved", ...moved } as const] : []),
      ...(seat !== null && seat !== seated ? [{ kind: "index-free", server: seat, resources, sign: 1 } as const] : []),
      ...(seated !== null && seat !== seated ? [{ kind: "index-free", server: seated, resources, sign: -1 } as const] : []),
      ...(from !== server ? [{ kind: "index-free", server: from, resources, sign: 1 } as const] : []),
      ...(from !== server ? [{ kind: "index-free", server, resources, sign: -1 } as const] : []),
      ...(freed ? [{ kind: "index-free", server, resources, sign: 1 } as const] : []),
      ...(filed.length > 0
        ? [{ kind: "to-server", server, filed: filed.map(({ document: { envelope } }) => ({ envelope, at: this.at })) } as const]
        : []),
    ];
  }

  /** Null: it is in the state that it was in. */
  get #moved(): LeaseMoved | null {
    const { id: lease, server, state, end } = this.lease;
    const { state: from, end: before } = this.#before.data;
    if (from === state) return null;
    const reason = end && !before ? end.reason : state === "lapsed" ? (this.#ended?.reason ?? "customer-stop") : null;
    return { lease, server, from, state, reason };
  }

  /** The change as a whole: row, books, documents, and the owner's record where the lease is over for good. */
  async planned({ puts = [], effects = [], lookAt, ...change }: Change): Promise<Outcome> {
    const known = await this.#whatIsKnown();
    const put = lookAt === undefined ? this.put : { ...this.put, data: { ...this.row, deadlineAt: lookAt } };
    return planned(this.#round, {
      ...change,
      filed: this.#filed,
      puts: [put, ...known.puts, ...puts],
      floors: [ALLOWANCE_FLOOR, ...(this.#drawn?.floors ?? [])],
      transfers: this.transfers,
      effects: [...this.effects, ...known.effects, ...effects],
    });
  }

  /** Its end, where this change is it, as far as it concerns its server's conduct; an order that was withdrawn concerns nobody. */
  get #ended(): Ended | null {
    const { end, state, stop, customer, owner } = this.lease;
    const before = this.#before.data;
    if (before.end || before.state === "lapsed" || (!end && state !== "lapsed")) return null;
    if (!end && stop?.reason === "customer-stop") return null;
    return { reason: end?.reason ?? "not-accepted", customer, owner, at: this.at };
  }

  /** What a verdict takes from the owner's record stays with the lease: an appeal may give it back. */
  #recordOf(known: OwnerRecord, ended: Ended | null): OwnerRecord {
    const { final, end, recordBefore } = this.lease;
    if (ended && !end) return recordMissed(known);
    const before = this.#before.data.final;
    const given = before?.judgement === "wrong" && final?.judgement === "right" ? recordBefore : null;
    if (!final || !end || (before && !given)) return known;
    if (final.judgement === "wrong") this.lease = { ...this.lease, recordBefore: { convicted: known.convicted, audited: known.audited } };
    return given ? recordCorrected(known, end.audited, given) : recordAfter(known, end, final.judgement);
  }

  /** What this lease's end says of its customer; whoever orders on machines of its own keeps nobody's from others. */
  async #ofCustomer(ended: Ended): Promise<Put[]> {
    if (ended.reason !== "image-unfetched") return [];
    const party = await this.#round.get("party", ended.customer);
    invariant(party !== null, "the customer of a lease is a party");
    const failedFetches = failedFetchesAfter(party.data.failedFetches ?? NO_FAILED_FETCHES, ended);
    return [{ kind: "party", id: ended.customer, expect: party.version, data: { ...party.data, failedFetches } }];
  }

  /** What this lease's end says of its server and its owner. */
  async #whatIsKnown(): Promise<{ puts: Put[]; effects: Effect[] }> {
    const ended = this.#ended;
    if (!ended && !this.lease.final) return { puts: [], effects: [] };
    const { owner, server } = this.lease;
    const [party, row] = await Promise.all([this.#round.get("party", owner), this.#round.get("server", server)]);
    invariant(party !== null && row !== null, "the owner of a lease is a party, and its server is known");
    const { record, conduct } = party.data;
    const data: PartyRow = {
      ...party.data,
      record: this.#recordOf(record, ended),
      conduct: ended ? conductAfter(conduct, ended, OWNER_MISSES_FREE) : conduct,
    };
    const own = ended ? conductAfter(row.data.conduct, ended) : row.data.conduct;
    const changed = { ...row.data, conduct: own };
    const isOther = data.conduct !== conduct || missesWeigh(data.record) !== missesWeigh(record) || data.record.audited !== record.audited;
    const isParty = isOther || data.record !== record;
    const isServer = own !== row.data.conduct;
    const customers = ended && ended.customer !== owner ? await this.#ofCustomer(ended) : [];
    return {
      puts: [
        ...(isParty ? [{ kind: "party", id: owner, expect: party.version, data } as const] : []),
        ...(isServer ? [{ kind: "server", id: server, expect: row.version, data: changed } as const] : []),
        ...customers,
      ],
      effects: [
        ...(isServer ? [{ kind: "index-server", row: changed } as const] : []),
        ...(isOther ? [{ kind: "refresh-owner", owner } as const] : []),
      ],
    };
  }
}

type Found = { ok: true; lease: Versioned<LeaseRow> } | Refusal;

/** Unknown and not-yours look the same from outside. */
export async function findLease(round: Round, id: string, may: (lease: LeaseRow) => boolean): Promise<Found> {
  const lease = await round.get("lease", id);
  return lease && may(lease.data) ? { ok: true, lease } : refuse("not_found", { lease: id });
}

/** What both parties are told when a lease is settled, or has lapsed. */
export function overEvents(lease: LeaseRow, view: Json): Plan["events"] {
  const { end } = lease;
  if (!end) return bothParties(lease).map((party) => ({ party, kind: "lease-lapsed", lease: lease.id, data: { order: lease.orderId } }));
  const { reason, blame, billableMs, billableFuel, dueNanos, feeNanos, ownerNanos, refundNanos } = end;
  const data = {
    reason,
    blame,
    exitCode: lease.result?.exitCode ?? null,
    billableMs,
    billableFuel,
    dueNanos,
    feeNanos,
    ownerNanos,
    refundNanos,
    lease: view,
  };
  return bothParties(lease).map((party) => ({ party, kind: "lease-settled", lease: lease.id, data }));
}
