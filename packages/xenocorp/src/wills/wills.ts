/**
 * Last wills: a customer's stop of a lease, or withdrawal of an order that waits, signed ahead, which the broker files as any other once
 * nobody has been there for a while who said it. Links hold what was said on them, and the database puts it off while they do; a broker
 * that has not watched for as long files none. Who controls the inputs: customers (which leases and orders, every byte of an envelope, when
 * links come and go).
 *
 *   said ──▶ kept, due later ──▶ put off while a link has it ──▶ due, nobody there ──▶ filed as what it is ──▶ gone
 *                 └── taken back, its lease is over, or its order waits no more ──▶ gone
 */
import { LIVE_STATES, isLive } from "@xenoservers/market";
import { ERROR_CODES, isOfKind, parseDocument, refuse, zEnvelope, type Envelope, type Refusal } from "@xenoservers/protocol";
import type { Closing } from "@xenoservers/protocol/link";
import type { Answer, Desk } from "../desk/desk.ts";
import type { Services } from "../desk/round.ts";
import type { PartySession } from "../http/sessions.ts";
import type { Will, WillStore } from "./will-store.ts";

/** For so long nobody who said it has been there before a will is filed. */
export const WILL_AFTER_MS = 60_000;
/** Each is of a lease that lives, for which its customer's money is held, or of an order that has a place among those that wait. */
export const WILLS_PER_PARTY_MAX = 1_024;
const WILL_CHARS_MAX = 4_096;
const FILED_AT_ONCE = 64;
/** Shares of the time after which one is filed: in which it is put off again; without a look at the database, nobody has watched. */
const RENEW_SHARE = 4;
const UNWATCHED_SHARE = 2;
/** How long a broker has for filing what it took. */
const FILING_MS = 10_000;

/** What is left of a customer's to be ended: `state` says in a refusal why nothing is. */
interface Subject {
  customer: string;
  isLive: boolean;
  state: string;
}

/** A link that says wills. */
export interface Sayer {
  readonly open: boolean;
  close(why: Closing): void;
}

interface WillsParts {
  store: Pick<WillStore, "keep" | "of" | "drop" | "putOff" | "takeDue" | "dropOver">;
  desk: () => Pick<Desk, "weigh" | "submit">;
  services: () => Pick<Services, "store" | "crypto" | "now">;
  afterMs?: number;
  /** For whoever watches. */
  filed?(will: Will, refused: Refusal | null): void;
}

const NO_STATE = "it was filed already";

const subjectOf = ({ kind }: { kind: "stop" | "order-withdrawal" }): "lease" | "order" => (kind === "stop" ? "lease" : "order");

const isSame = (one: Envelope, other: Envelope): boolean =>
  one.payload === other.payload && one.payloadType === other.payloadType && one.signatures[0].sig === other.signatures[0].sig;

export class Wills {
  readonly afterMs: number;
  readonly #parts: WillsParts;
  readonly #held = new Map<Sayer, Set<string>>();
  /** In broker time: since when it has looked at the database without a pause, when it last did, put off and tidied. */
  #watchedSince: number | null = null;
  #lookedAt = -Infinity;
  #putOffAt = -Infinity;
  #tidiedAt = -Infinity;

  constructor(parts: WillsParts) {
    this.#parts = parts;
    this.afterMs = parts.afterMs ?? WILL_AFTER_MS;
  }

  get #due(): number {
    return this.#parts.services().now() + this.afterMs + this.afterMs / RENEW_SHARE;
  }

  /** `envelope`: null takes it back, which only the key can that said it. */
  async say(sayer: Sayer, { party, key }: PartySession, of: string, envelope: unknown): Promise<Answer> {
    const { store } = this.#parts;
    if (envelope === null) {
      this.#held.get(sayer)?.delete(of);
      await store.drop(of, key.id);
      return { ok: true, answer: { kept: false } };
    }
    const read = zEnvelope.safeParse(envelope);
    if (!read.success) return refuse("bad_envelope");
    const will: Will = { of, party, key: key.id, envelope: read.data };
    const kept = await store.of(of);
    // whoever comes again says what was looked at when it was first said, and may have missed that it is over
    const isKnown = kept !== null && kept.party === party && kept.key === key.id && isSame(kept.envelope, read.data);
    const refusal = await (isKnown ? this.#over(of) : this.#problem(will));
    if (refusal) return refusal;
    const keep = (): Promise<boolean> => store.keep(will, this.#due, WILLS_PER_PARTY_MAX);
    // of many short ones some are over whose wills nobody has taken back
    if (!(await keep()) && !((await store.dropOver(LIVE_STATES, party)) > 0 && (await keep())))
      return refuse("rate_limited", { retryAfterMs: this.afterMs, why: `a party has at most ${WILLS_PER_PARTY_MAX} last wills` });
    if (sayer.open) this.#held.set(sayer, (this.#held.get(sayer) ?? new Set()).add(of));
    return { ok: true, answer: { kept: true, afterMs: this.afterMs } };
  }

  /** What such a document is asked, and that it is of this lease or order, by whoever said it, who is its customer. */
  async #problem({ of, party, key, envelope }: Will): Promise<Refusal | null> {
    const { store, crypto } = this.#parts.services();
    if (JSON.stringify(envelope).length > WILL_CHARS_MAX) return refuse("body_too_large", { max: WILL_CHARS_MAX });
    const parsed = parseDocument(crypto, envelope);
    if (!parsed.ok) return parsed;
    const { document } = parsed;
    if (!isOfKind(document, "stop") && !isOfKind(document, "order-withdrawal"))
      return refuse("unknown_kind", { expected: "stop or order-withdrawal", got: document.kind });
    const { payload } = document;
    const named = "lease" in payload ? payload.lease : payload.order;
    if (named !== of) return refuse("not_yours", { [subjectOf(document)]: of, why: `it is of another ${subjectOf(document)}` });
    if (payload.party !== party || document.keyid !== key) return refuse("not_yours", { why: "who says a will has signed it" });
    const subject = await this.#subject(of);
    if (subject?.customer !== party) return refuse("not_found", { [subjectOf(document)]: of });
    const refusal = await this.#parts.desk().weigh(document);
    // what was filed already is answered as then, and is no will any more
    return refusal ?? ((await store.document(document.id)) ? refuse("wrong_state", { state: subject.state, why: NO_STATE }) : null);
  }

  /** An id is the digest of what was signed: no lease has that of an order. */
  async #subject(id: string): Promise<Subject | null> {
    const { store } = this.#parts.services();
    const lease = (await store.load("lease", [id])).get(id)?.data;
    if (lease) return { customer: lease.customer, isLive: isLive(lease.state), state: lease.state };
    const order = (await store.load("order", [id])).get(id)?.data;
    if (!order) return null;
    return { customer: order.customer, isLive: Boolean(order.waiting), state: order.waiting ? "waiting" : "waits no more" };
  }

  async #over(id: string): Promise<Refusal | null> {
    const subject = await this.#subject(id);
    return subject?.isLive ? null : refuse("wrong_state", { state: subject?.state ?? null });
  }

  /** `id`: of a lease, or of an order that waits. */
  async isKept(id: string): Promise<boolean> {
    return (await this.#parts.store.of(id)) !== null;
  }

  /** The link has gone: what it said is due when nobody says it again. */
  gone(sayer: Sayer): void {
    this.#held.delete(sayer);
  }

  /** To be called many times in the time after which one is filed; returns how many were. */
  async run(): Promise<number> {
    const now = this.#parts.services().now();
    await this.#putOff(now);
    const unwatchedMs = this.afterMs / UNWATCHED_SHARE;
    if (this.#watchedSince === null || now - this.#lookedAt > unwatchedMs) this.#watchedSince = now;
    // whoever was there while no broker was, or this one did not look, has all the time anew
    return this.#fileDue(now, now - this.#watchedSince < this.afterMs ? 0 : FILED_AT_ONCE);
  }

  async #putOff(now: number): Promise<void> {
    const { store } = this.#parts;
    if (now - this.#putOffAt < this.afterMs / RENEW_SHARE) return;
    const ids = new Set([...this.#held.values()].flatMap((held) => [...held]));
    try {
      const here = new Set(ids.size > 0 ? await store.putOff([...ids], this.#due) : []);
      for (const held of this.#held.values()) for (const id of held) if (ids.has(id) && !here.has(id)) held.delete(id);
      if (now - this.#tidiedAt >= this.afterMs) {
        await store.dropOver(LIVE_STATES, null);
        this.#tidiedAt = now;
      }
      this.#putOffAt = now;
    } catch (error) {
      // another broker may reach the database: who is there comes to that one
      if (this.#parts.services().now() - this.#putOffAt > this.afterMs / UNWATCHED_SHARE)
        for (const sayer of this.#held.keys()) sayer.close("unavailable");
      throw error;
    }
  }

  /** At most so many; of none, too, the database is asked: a broker that does not reach it does not watch. */
  async #fileDue(now: number, limit: number): Promise<number> {
    const due = await this.#parts.store.takeDue(now, now + FILING_MS, limit);
    this.#lookedAt = now;
    const nobodys = due.filter(({ of }) => ![...this.#held.values()].some((held) => held.has(of)));
    await Promise.all(nobodys.map((will) => this.#file(will)));
    return nobodys.length;
  }

  /** As its customer would: what counts is what its key may now. One that nobody takes now is taken later. */
  async #file(will: Will): Promise<void> {
    const answer = await this.#parts.desk().submit(will.envelope);
    if (!answer.ok && ERROR_CODES[answer.code].retryable) return;
    await this.#parts.store.drop(will.of, will.key);
    this.#parts.filed?.(will, answer.ok ? null : answer);
  }
}
