/**
 * The lease as the server itself folds it: every fact it has seen, verified by its signer's role and taken only where the fold takes it.
 * What is rightly signed and not taken is held: it may have come before what it follows from; what never fits is evidence. Facts stand in
 * the order of log time. Invariant: `record.facts`, folded on `record.base`, give `lease`; claims that later ones have overtaken are left
 * out of them. Who controls the inputs: the broker (documents, their order and log times), the customer (what it signs).
 */
import { ROLE_SCOPES, invariant, refused, speaksAs, step, type Fact, type Lease, type LeaseRefusal } from "@xenoservers/market";
import {
  KeyBook,
  ofAnyKind,
  payloadType as payloadTypeOf,
  verifyDocument,
  verifyDocumentOf,
  type Envelope,
  type KnownKey,
  type Verified,
} from "@xenoservers/protocol";
import type { Documents } from "@xenoservers/protocol/link";
import { factOf, judgeDispute, judgeVerdict, type FactResult, type FactWorld } from "@xenoservers/verify";
import type { Filed, LeaseRecord } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";

type FactsWorld = Pick<RunnerWorld, "crypto" | "signer" | "owner" | "pins" | "timers" | "log">;

interface Entry {
  fact: Fact;
  filed: Filed;
}
interface Held extends Entry {
  why: string;
  /** The word of a party that has none in this lease: that does not change with what comes later, and is no evidence. */
  isNobodys: boolean;
}

const HELD_OF_A_KIND_MAX = 8;
const GRANTS_MAX = 1_000;
/** So many facts stay where a late one can still be put between them. */
const TAIL_MAX = 48;

/** Grants come without their log times, and clocks differ: when a key has ended is the broker's to know, which files nothing after it. */
const ENDED_AT_UNKNOWN = Number.MAX_SAFE_INTEGER;

/** Learns grants in whatever order they come: what a key gave before it was rotated away is learned before the rotation. */
function learnAll(book: KeyBook, grants: readonly Envelope[]): void {
  const isRotation = ({ payloadType }: Envelope): boolean => payloadType === payloadTypeOf("key-rotate");
  for (let left = [...grants]; ;) {
    const given = left.filter((grant) => isRotation(grant) || !book.learn(grant, ENDED_AT_UNKNOWN));
    const rotation = given.find((grant) => isRotation(grant) && book.learn(grant, ENDED_AT_UNKNOWN));
    const rest = given.filter((grant) => grant !== rotation);
    if (rest.length === left.length) return;
    left = rest;
  }
}

/** What is known of keys: by these grants and, of the server's own, by its enrolment. */
export function factWorld({ crypto, signer, owner, pins }: Omit<FactsWorld, "timers" | "log">, grants: readonly Envelope[]): FactWorld {
  const book = new KeyBook(crypto, pins().origin);
  const own: KnownKey = {
    ...{ id: signer.publicKey, party: owner, role: "server", scopes: ROLE_SCOPES.server },
    ...{ account: null, leaseLabel: null, expiresAt: null, revokedAt: null },
  };
  learnAll(book, grants);
  return { crypto, market: pins(), keyOf: (keyid) => (keyid === own.id ? own : book.keyOf(keyid)) };
}

const heldFor = (entry: Entry, { code, why }: LeaseRefusal): Held => ({
  ...entry,
  why,
  isNobodys: code === "not_yours" && entry.fact.signer.by === "party",
});

/** With what was found for it, once it is taken: the lease rests on that. */
function asTaken({ fact, filed: { envelope, at } }: Entry): Entry {
  const finding = fact.kind === "dispute" || fact.kind === "verdict" ? fact.content.finding : undefined;
  return { fact, filed: finding === undefined ? { envelope, at } : { envelope, at, finding } };
}

/** Takes in turn what the fold takes. `read`: what an entry says of the lease at its place. */
function foldOn(
  base: Lease | null,
  entries: readonly Entry[],
  read: (entry: Entry, lease: Lease | null) => Entry,
): { lease: Lease | null; taken: Entry[]; refused: Held[] } {
  let lease = base;
  const taken: Entry[] = [];
  const refused: Held[] = [];
  for (const each of entries) {
    const entry = read(each, lease);
    const next = step(lease, entry.fact);
    if (next.ok) taken.push(asTaken(entry));
    else refused.push(heldFor(entry, next));
    if (next.ok) lease = next.lease;
  }
  return { lease, taken, refused };
}

const idsOf = (entries: readonly Entry[]): Set<string> => new Set(entries.map(({ fact }) => fact.id));

const isOf = (kinds: readonly Fact["kind"][]) => (entry: Entry) => kinds.includes(entry.fact.kind);
const isClaim = isOf(["claim", "claim-receipt"]);

/**
 * In log time, and of one time as they were told; what began the lease first. A takeover is filed with its move, which may be told alone
 * before.
 */
function inOrder<E extends Entry>(entries: readonly E[]): E[] {
  const rank = ({ fact }: Entry): number => (fact.kind === "purchase-order" ? -1 : fact.at);
  const after = ({ fact }: Entry): number => (fact.kind === "takeover" ? 0 : 1);
  return entries.toSorted((a, b) => rank(a) - rank(b) || after(a) - after(b));
}

export class LeaseFacts {
  readonly #world: FactsWorld;
  readonly #record: LeaseRecord;
  #facts: FactWorld;
  #base: Lease | null;
  /** Of the facts in `base`, what is kept. */
  #kept: Entry[];
  #tail: Entry[];
  #held: Held[];
  #lease: Lease;
  /** Of one that is folded anew: what was known before, and is not in its place yet. */
  #before: Map<string, Entry> = new Map();
  /** Of that: which facts are looked out for, by id or time, and those of them that were taken. */
  #seen = { of: new Set<string>(), from: Infinity, taken: new Set<string>() };

  constructor(world: FactsWorld, record: LeaseRecord) {
    this.#world = world;
    this.#record = record;
    this.#facts = factWorld(world, record.grants);
    this.#base = record.base?.lease ?? null;
    this.#kept = record.facts.slice(0, record.base?.facts ?? 0).map((filed) => this.#parse(filed, null));
    this.#tail = [];
    let lease = this.#base;
    for (const filed of record.facts.slice(this.#kept.length)) {
      const entry = this.#parse(filed, lease);
      const next = step(lease, entry.fact);
      invariant(next.ok, `the journal of lease ${record.lease} is damaged: ${next.ok ? "" : next.why}`);
      this.#tail.push(asTaken(entry));
      lease = next.lease;
    }
    invariant(lease, `the journal of lease ${record.lease} has no facts`);
    this.#lease = lease;
    this.#held = record.held.map((held) => ({ ...this.#parse(held, this.#lease), why: held.why, isNobodys: false }));
  }

  get lease(): Lease {
    return this.#lease;
  }

  /** What was rightly signed and is not taken. */
  get held(): readonly { fact: Fact; why: string }[] {
    return this.#held;
  }

  /** A document as a fact of the lease as it stands: what the results in a dispute or verdict come to is this server's own finding. */
  #factOf({ envelope, at, finding }: Filed, lease: Lease | null): FactResult | null {
    const parsed = verifyDocument(envelope, { ...this.#facts, at });
    if (!parsed.ok) return parsed;
    const document = ofAnyKind(parsed.document);
    if (document.kind !== "verdict" && document.kind !== "dispute") return factOf(this.#facts, document, at);
    if (finding !== undefined) return factOf(this.#facts, document, at, { finding });
    const own = verifyDocumentOf("result", this.#record.result?.envelope, { ...this.#facts, at });
    const result = own.ok ? own.document : null;
    if (document.kind === "verdict") return factOf(this.#facts, document, at, judgeVerdict(this.#facts, document, lease, result));
    const trace = verifyDocumentOf("trace", this.#record.trace?.envelope, { ...this.#facts, at });
    return factOf(this.#facts, document, at, judgeDispute(this.#facts, document, lease, result, trace.ok ? trace.document : null));
  }

  /** What was judged at another place, and not taken there, is judged anew. */
  #at = (entry: Entry, lease: Lease | null): Entry => {
    const { fact, filed } = entry;
    if ((fact.kind !== "dispute" && fact.kind !== "verdict") || filed.finding !== undefined) return entry;
    const read = this.#factOf(filed, lease);
    return read?.ok ? { ...entry, fact: read.fact } : entry;
  };

  #parse(filed: Filed, lease: Lease | null): Entry {
    const read = this.#factOf(filed, lease);
    invariant(read?.ok, `the journal of lease ${this.#record.lease} is damaged`);
    return { fact: read.fact, filed };
  }

  /** Takes what the fold takes. Returns whether the lease has changed. */
  take({ grants, filed }: Documents): boolean {
    this.#learn(grants);
    const before = this.#lease;
    for (const { envelope, at } of filed) this.#takeOne({ envelope, at });
    this.#refold();
    for (const { isNobodys, why } of this.#held) if (isNobodys) this.#disobey("not_yours", { why });
    this.#held = this.#held.filter(({ isNobodys }) => !isNobodys);
    this.#write();
    return this.#lease !== before;
  }

  /** The next of its log, as a server of its owner's tells it in order. Throws, in words, where that does not follow. */
  learn(documents: Documents): void {
    this.take(documents);
    const [held] = this.#held;
    if (held) throw new Error(`its log does not follow: ${held.why}`);
  }

  #learn(grants: readonly Envelope[]): void {
    const known = new Set(this.#record.grants.map(({ signatures: [{ sig }] }) => sig));
    const fresh = grants.filter(({ signatures: [{ sig }] }) => !known.has(sig));
    if (fresh.length === 0 || known.size + fresh.length > GRANTS_MAX) return;
    this.#record.grants = [...this.#record.grants, ...fresh];
    this.#facts = factWorld(this.#world, this.#record.grants);
  }

  #read(filed: Filed): Entry | null {
    const read = this.#factOf(filed, this.#lease);
    if (read?.ok) return { fact: read.fact, filed };
    if (read) this.#disobey(read.code, read.facts);
    return null;
  }

  #disobey(code: string, facts: Record<string, unknown>): void {
    this.#world.log("a document was not obeyed", { lease: this.#record.lease, code, ...facts });
  }

  #takeOne(filed: Filed): void {
    const entry = this.#read(filed);
    if (entry !== null) this.#takeEntry(entry);
  }

  #takeEntry(entry: Entry): void {
    if (idsOf([...this.#kept, ...this.#tail, ...this.#held]).has(entry.fact.id)) return;
    const isLast = this.#tail.every(({ fact }) => fact.at <= entry.fact.at);
    const next = isLast ? step(this.#lease, entry.fact) : refused("conflict", "it is logged before what is known");
    if (!next.ok) return this.#hold([heldFor(entry, next)]);
    this.#lease = next.lease;
    this.#tail.push(asTaken(entry));
    if (entry.fact.kind === "claim-receipt" && this.#tail.length > TAIL_MAX) this.#compact();
  }

  #hold(entries: readonly Held[]): void {
    for (const entry of entries) if (this.#held.filter(isOf([entry.fact.kind])).length < HELD_OF_A_KIND_MAX) this.#held.push(entry);
  }

  /** What came before its time, in its place by log time. Whatever was taken stays taken: all of it stands in one log. */
  #refold(): void {
    while (this.#held.length > 0) {
      const { lease, taken, refused: rest } = foldOn(this.#base, inOrder([...this.#tail, ...this.#held]), this.#at);
      const ids = idsOf(taken);
      if (!lease || taken.length === this.#tail.length || !this.#tail.every(({ fact }) => ids.has(fact.id))) return;
      [this.#lease, this.#tail, this.#held] = [lease, taken, rest];
    }
  }

  /** Everything before the last claim becomes the base; claims that it has overtaken say nothing any more. */
  #compact(): void {
    const last = this.#tail.findLastIndex(isOf(["claim"]));
    if (last <= 0) return;
    this.#base = foldOn(this.#base, this.#tail.slice(0, last), this.#at).lease;
    this.#kept = [...this.#kept, ...this.#tail.slice(0, last).filter((entry) => !isClaim(entry))];
    this.#tail = this.#tail.slice(last);
  }

  #write(): void {
    this.#record.facts = [...this.#kept, ...this.#tail].map(({ filed }) => filed);
    this.#record.base = this.#base && { lease: this.#base, facts: this.#kept.length };
    this.#record.held = this.#held.map(({ filed, fact: { kind }, why }) => ({ ...filed, kind, why }));
  }

  /**
   * To be told the whole log of the lease, part by part, and folded from its purchase order on; what is known here goes to its place by log
   * time, said or not. What comes of it is this lease once it is adopted.
   */
  anew(): LeaseFacts {
    const { facts } = this.#record;
    const anew = new LeaseFacts(this.#world, { ...this.#record, base: null, facts: facts.slice(0, 1), held: [] });
    anew.#before = new Map(inOrder([...this.#kept, ...this.#tail, ...this.#held]).map((entry) => [entry.fact.id, entry]));
    anew.#seen = { of: idsOf([...this.#kept, ...this.#tail]), from: this.#tail.at(-1)?.fact.at ?? 0, taken: new Set() };
    return anew;
  }

  /** The next of the log, in its order. */
  follow({ grants, filed }: Documents): void {
    this.#learn(grants);
    for (const { envelope, at } of filed) {
      const told = this.#read({ envelope, at });
      if (told === null) continue;
      // what is known stays as it was told first: its log time, and what was found for it
      const entry = this.#before.get(told.fact.id) ?? told;
      for (const [, known] of this.#before) {
        if (known.fact.at >= entry.fact.at) break;
        this.#follow(known);
      }
      this.#follow(entry);
    }
    this.#refold();
    this.#held = this.#held.filter(({ isNobodys }) => !isNobodys);
    this.#see(this.#tail);
  }

  #follow(entry: Entry): void {
    this.#before.delete(entry.fact.id);
    this.#takeEntry(this.#at(entry, this.#lease));
    this.#see(this.#tail.slice(-1));
  }

  /** Of what was taken, what was known before and what may come to be known meanwhile is remembered: claims are overtaken. */
  #see(taken: readonly Entry[]): void {
    const { of, from, taken: seen } = this.#seen;
    for (const { fact } of taken) if (of.has(fact.id) || fact.at >= from) seen.add(fact.id);
  }

  /**
   * Whatever was known must still be taken: a broker that leaves out what it said before changes nothing. Returns whether the lease has
   * changed.
   */
  adopt(anew: LeaseFacts): boolean {
    const known = [...this.#kept, ...this.#tail];
    for (const entry of [...anew.#before.values(), ...known.filter(({ fact }) => !anew.#seen.taken.has(fact.id))]) anew.#follow(entry);
    anew.#refold();
    anew.#see([...anew.#kept, ...anew.#tail]);
    if (!known.every(({ fact }) => anew.#seen.taken.has(fact.id))) return false;
    const before = this.#lease;
    this.#learn(anew.#record.grants);
    [this.#lease, this.#base, this.#kept, this.#tail, this.#held] = [anew.#lease, anew.#base, anew.#kept, anew.#tail, anew.#held];
    this.#compact();
    this.#write();
    return JSON.stringify(before) !== JSON.stringify(this.#lease);
  }

  /** The customer's word that it has the result's bytes, rightly signed; null where it is not. */
  customersWord(untrusted: unknown): Verified<"delivery"> | null {
    const read = verifyDocumentOf("delivery", untrusted, { ...this.#facts, at: this.#world.timers.now() });
    if (!read.ok) return null;
    const { signer, payload } = read.document;
    const right =
      speaksAs(this.#lease, signer, "customer") && payload.lease === this.#lease.id && payload.result === this.#record.result?.id;
    return right ? read.document : null;
  }
}
