/**
 * The desk: every document and every timer of the market passes through here as an array (whatever queued while the last batch committed).
 * Handlers plan, the store commits; a plan that lost a race is planned again on what is there now.
 */
import { invariant } from "@xenoservers/market";
import {
  isOfKind,
  refuse,
  parseDocument,
  parseDocumentOf,
  type AnyDocument,
  type Json,
  type Refusal,
  type SignedDocument,
} from "@xenoservers/protocol";
import { toldOf } from "../fleet/notes.ts";
import type { CommitResult, MarketEvent } from "../store/store.ts";
import { identify } from "./caller.ts";
import { handle } from "./handlers.ts";
import { Listening } from "./listening.ts";
import { sealedHere } from "./leases.ts";
import { answerAgain, type Effect, type FiledEnvelope, type LeaseMoved, type Outcome, type Planned } from "./outcome.ts";
import { Round, type Services } from "./round.ts";
import { isMomentary } from "./orders.ts";
import * as timers from "./timers.ts";
import { bindWaiting, endWaiting, waitingDue } from "./waiting.ts";

export type Answer = { ok: true; answer: { [key: string]: Json } } | Refusal;

/** How the desk reaches whoever is connected to this broker. Losing a message is harmless: it can be read again from the store. */
interface Outbox {
  toServer(server: string, filed: readonly FiledEnvelope[]): void;
  event(event: MarketEvent): void;
  /** Whatever this key had open is to be cut. */
  keyRevoked(key: string): void;
  /** For whoever watches; absent where nobody does. */
  leaseMoved?(moved: LeaseMoved): void;
  /** The store cannot hold this change, and says why: for the operator alone. */
  refused?(change: string, what: string): void;
}

type Task = {
  plan: (round: Round) => Promise<Outcome | null>;
  done: (answer: Answer | null) => void;
  failed: (error: unknown) => void;
  tries: number;
};

const TRIES_MAX = 20;
const BATCH_MAX = 256;
const DUE_MAX = 200;
/** Orders that wait and are bound on one server at once. */
const TURNS_AT_ONCE = 64;
/** Orders whose turn came for one server's room and that were not bound: then whoever is next waits for the next room. */
const TURNS_FAILED_MAX = 8;
/** Whose turn timers are where there is one broker. */
const ALONE = "alone";

export class Desk {
  readonly services: Services;
  readonly #outbox: Outbox;
  readonly #listening: Listening;
  #queue: Task[] = [];
  #working = false;
  #isGivingTurns = false;

  constructor(services: Services, outbox: Outbox) {
    this.services = services;
    this.#outbox = outbox;
    this.#listening = new Listening(services);
    services.index.onRoom = () => this.#roomCame();
  }

  /**
   * Accepts one untrusted envelope, a result with its delivery where there is one. The same document again gets the same answer. `waits`:
   * an order for which there is no room waits for some.
   */
  async submit(untrusted: unknown, delivery?: unknown, waits = false): Promise<Answer> {
    const parsed = parseDocument(this.services.crypto, untrusted);
    if (!parsed.ok) return parsed;
    const { document } = parsed;
    const delivered = delivery === undefined ? null : parseDocumentOf(this.services.crypto, "delivery", delivery);
    if (delivered && !delivered.ok) return delivered;
    const answer = await this.#enqueue((round) => plan(round, document, { delivery: delivered?.document ?? null, waits }));
    return answer ?? refuse("unknown_kind", { kind: document.kind });
  }

  /** Why a document would not be taken if it came now; null where it would be, or was. Nothing comes of it. */
  async weigh(document: AnyDocument): Promise<Refusal | null> {
    const outcome = await plan(new Round(this.services), document, { delivery: null, waits: false });
    return outcome === null ? refuse("unknown_kind", { kind: document.kind }) : outcome.ok ? null : outcome;
  }

  /** A result's bytes lie sealed with this broker, under this digest: its lease is settled. */
  async sealed(lease: string, digest: string): Promise<Answer> {
    const answer = await this.#enqueue((round) => sealedHere(round, lease, digest));
    return answer ?? refuse("not_found", { lease });
  }

  /** Says that this broker hears, where it does. */
  hear(): Promise<void> {
    return this.#listening.hear();
  }

  /** Why nothing that is sent can be taken now, in words for strangers; null: it can, as far as is known. */
  get unwritten(): string | null {
    return this.#listening.unwritten;
  }

  /** Runs every timer that is due; returns how many steps were taken. */
  async runTimers(): Promise<number> {
    await this.hear();
    const { store } = this.services;
    const now = this.services.now();
    const by = this.services.fleet?.id ?? ALONE;
    this.services.index.wakeRested(now);
    this.services.index.wake(this.services.waiting.gather(this.services.index.byServer(), now));
    const [dueLeases, dueBatches, dueOrders] = await Promise.all([
      store.due("lease", now, DUE_MAX, by),
      store.due("batch", now, DUE_MAX, by),
      store.due("order", now, DUE_MAX, by),
    ]);
    await Promise.all([
      ...dueLeases.map(async (id) => {
        const done = await this.#enqueue((round) => timers.leaseDue(round, id, true));
        // where the next server costs more than there is, the order ends here
        if (done?.ok === false) await this.#enqueue((round) => timers.leaseDue(round, id, false));
      }),
      ...dueBatches.map((id) => this.#enqueue((round) => timers.batchDue(round, id))),
      ...dueOrders.map((id) => this.#enqueue((round) => waitingDue(round, id))),
    ]);
    await Promise.all([
      store.giveBack("lease", dueLeases, by),
      store.giveBack("batch", dueBatches, by),
      store.giveBack("order", dueOrders, by),
    ]);
    return dueLeases.length + dueBatches.length + dueOrders.length;
  }

  /** Something may fit somewhere that did not before. */
  #roomCame(): void {
    const { index, waiting } = this.services;
    if (waiting.size === 0) return void index.takeRoom();
    if (this.#isGivingTurns) return;
    this.#isGivingTurns = true;
    const given = (): void => {
      this.#isGivingTurns = false;
      if (index.hasRoom) this.#roomCame();
    };
    queueMicrotask(() => void this.#giveTurns().finally(given));
  }

  async #giveTurns(): Promise<void> {
    const { index, waiting } = this.services;
    for (let servers = index.takeRoom(); servers.length > 0; servers = index.takeRoom())
      for (const server of servers) if (waiting.size > 0) await this.#giveTurnsOn(server);
  }

  /** Each order that waits has at most one turn for what has come free, whatever becomes of it: what fails is not tried again and again. */
  async #giveTurnsOn(server: string): Promise<void> {
    const { index, waiting, now } = this.services;
    const tried = new Set<string>();
    for (let failed = 0; failed < TURNS_FAILED_MAX;) {
      const candidate = index.get(server);
      const turns = candidate ? waiting.turnsOn(candidate, now(), tried, Math.min(TURNS_AT_ONCE, TURNS_FAILED_MAX - failed)) : [];
      if (turns.length === 0) return;
      for (const { id, customer } of turns) {
        tried.add(id);
        waiting.turnTaken(customer);
      }
      const bound = await Promise.all(turns.map(({ id }) => this.#giveTurn(id)));
      failed += bound.filter((isBound) => !isBound).length;
    }
  }

  /** Whoever waits comes before whoever has just asked. */
  async #giveTurn(id: string): Promise<boolean> {
    const answer = await this.#enqueue((round) => bindWaiting(round, id), true).catch(() => null); // its next turn finds out why
    if (answer?.ok === false && !isMomentary(answer)) await this.#enqueue((round) => endWaiting(round, id, answer));
    return answer?.ok === true;
  }

  #enqueue(planFor: Task["plan"], isFirst = false): Promise<Answer | null> {
    return new Promise((done, failed) => {
      const task = { plan: planFor, done, failed, tries: 0 };
      if (isFirst) this.#queue.unshift(task);
      else this.#queue.push(task);
      if (!this.#working) {
        this.#working = true;
        queueMicrotask(() => void this.#work());
      }
    });
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) {
      const tasks = this.#queue.splice(0, BATCH_MAX);
      try {
        await this.#runBatch(tasks);
      } catch (error) {
        for (const task of tasks) task.failed(error);
      }
    }
    this.#working = false;
  }

  async #runBatch(tasks: Task[]): Promise<void> {
    await this.hear();
    const round = new Round(this.services);
    const outcomes = await Promise.allSettled(tasks.map((task) => task.plan(round)));
    const plans: Planning[] = [];
    const misled: Misled[] = [];
    for (const [i, outcome] of outcomes.entries()) {
      const task = tasks[i]!;
      // what fails with one document is nothing to the others, which are somebody else's
      if (outcome.status === "rejected") task.failed(outcome.reason);
      else if (outcome.value === null) task.done(null);
      else if (!outcome.value.ok) {
        const server = serverOtherwise(outcome.value);
        if (server === null) task.done(outcome.value);
        else misled.push({ task, server, refusal: outcome.value });
      } else plans.push({ task, planned: outcome.value });
    }
    const { fleet } = this.services;
    const note = fleet?.opened() ?? "";
    const changes = plans.map(({ planned }) => (fleet ? { ...planned.change, told: toldOf(planned, note, fleet.id) } : planned.change));
    const results = await this.#settle(plans, () => this.#listening.commit(changes));
    // one that was replayed may have been committed by a try of just now that never answered
    if (results.every(({ status }) => status !== "replayed")) fleet?.acted(note);
    if (misled.length > 0) await this.#planAgain(misled);
  }

  /** Commits, and has this broker's own view follow. */
  async #settle(plans: readonly Planning[], commit: () => Promise<CommitResult[]>): Promise<CommitResult[]> {
    const { index, store } = this.services;
    const moves = plans.flatMap(({ planned }) => planned.effects.filter((effect) => effect.kind === "index-free"));
    index.settling(moves.map(({ server }) => server));
    let isKnown = false;
    try {
      const results = await commit();
      for (const [i, result] of results.entries()) await this.#conclude(plans[i]!.task, plans[i]!.planned, result);
      isKnown = true;
      return results;
    } finally {
      // what cannot be read now is read when it is next changed
      await index.settled(store, isKnown).catch(() => {});
    }
  }

  /** The servers are looked up once for all of a batch, when the others' documents are answered: these fail alone where that does. */
  async #planAgain(misled: readonly Misled[]): Promise<void> {
    const { index, store } = this.services;
    try {
      await index.follow(store, { servers: [...new Set(misled.map(({ server }) => server))], parties: [], referees: false });
      for (const { task, refusal } of misled) this.#again(task, refusal);
    } catch (error) {
      for (const { task } of misled) task.failed(error);
    }
  }

  async #conclude(task: Task, planned: Planned, result: CommitResult): Promise<void> {
    switch (result.status) {
      case "applied":
        for (const effect of planned.effects) await this.#act(effect);
        task.done({ ok: true, answer: result.answer as { [key: string]: Json } });
        return;
      case "replayed":
        task.done({ ok: true, answer: result.answer as { [key: string]: Json } });
        return;
      case "id_reused":
        task.done(refuse("id_reused", { clientId: result.what.split("/")[1] ?? "" }));
        return;
      case "filed":
        task.done(refuse("answer_gone", { id: result.what }));
        return;
      case "refused":
        this.#outbox.refused?.(planned.change.id, result.what);
        task.done(refuse("not_kept", { change: planned.change.id }));
        return;
      case "conflict":
        this.#again(task, refuse("conflict"));
        return;
      case "below_floor":
        return this.#fellShort(task, planned, result);
    }
  }

  /** What falling short means stands in the transfer that did. Capacity may be free elsewhere: the order is planned again. */
  async #fellShort(task: Task, planned: Planned, { key, missing }: Extract<CommitResult, { status: "below_floor" }>): Promise<void> {
    const short = planned.change.transfers.find(({ debit }) => debit === key)?.short;
    invariant(short !== null && short !== undefined, `${key} falls short of what was set aside in it`);
    const { code, ...whose } = short;
    if (code === "queue_full") return task.done(refuse(code, whose));
    if (code !== "capacity_taken" || !("server" in whose)) return task.done(refuse(code, { ...whose, missingNanos: missing.toString() }));
    await this.services.index.refreshFree(this.services.store, [whose.server]);
    this.#again(task, refuse(code, whose));
  }

  #again(task: Task, otherwise: Refusal): void {
    task.tries++;
    if (task.tries >= TRIES_MAX) task.done(otherwise);
    else this.#queue.push(task);
  }

  async #act(effect: Effect): Promise<void> {
    const { index, store, waiting } = this.services;
    switch (effect.kind) {
      case "to-server":
        return this.#outbox.toServer(effect.server, effect.filed);
      case "event":
        return this.#outbox.event(effect.event);
      case "index-server":
        return index.put(effect.row);
      case "index-free":
        return index.move(effect.server, effect.resources, effect.sign);
      case "refresh-free":
        return index.refreshFree(store, [effect.server]);
      case "refresh-owner":
        return index.refreshOwners(store, [effect.owner]);
      case "index-suspended":
        return index.setSuspended(effect.party, effect.suspended);
      case "index-referee":
        return index.setReferee(effect.server, effect.isReferee);
      case "order-waits":
        waiting.put(effect.order);
        return index.lookFor(effect.order.wish, this.services.now());
      case "order-waits-no-more":
        return waiting.remove(effect.order);
      case "key-revoked":
        return this.#outbox.keyRevoked(effect.key);
      case "lease-moved":
        return this.#outbox.leaseMoved?.(effect);
    }
  }
}

/** A task, and what it comes to. */
interface Planning {
  task: Task;
  planned: Planned;
}

/** An order that met a server which is listed otherwise by now: another broker, or the one before, has changed that. */
interface Misled {
  task: Task;
  server: string;
  refusal: Refusal;
}

/** The server that was met so; null where that is not why. */
function serverOtherwise({ code, facts }: Refusal): string | null {
  const server = code === "capacity_taken" ? facts["server"] : null;
  return typeof server === "string" ? server : null;
}

interface With {
  delivery: SignedDocument<"delivery"> | null;
  waits: boolean;
}

async function plan(round: Round, document: AnyDocument, { delivery, waits }: With): Promise<Outcome | null> {
  prefetch(round, document);
  const [identified, delivered] = await Promise.all([identify(round, document), delivery && identify(round, delivery)]);
  const confirmed = delivered?.ok && isOfKind(delivered.document, "delivery") ? delivered.document : null;
  const outcome = identified.ok
    ? await handle(round, identified.document, { caller: identified.caller, delivery: confirmed, waits })
    : identified;
  if (outcome === null || outcome.ok) return outcome;
  // a repetition is planned on a state that it changed itself; whoever signed it then is answered as then. The same words of another are
  // another's
  const [earlier, filed] = await Promise.all([answerAgain(round, document.id), round.services.store.document(document.id)]);
  return earlier === null || filed?.envelope.signatures[0].keyid !== document.keyid ? outcome : earlier;
}

/** Asks for the rows that the handler will surely want, so that they come in one turn. */
function prefetch(round: Round, { keyid, payload }: AnyDocument): void {
  const wanted: Promise<unknown>[] = [round.get("key", keyid)];
  if ("party" in payload) wanted.push(round.get("party", payload.party));
  if ("account" in payload && payload.account !== null) wanted.push(round.get("account", payload.account), round.get("setting", "fees"));
  if ("lease" in payload) wanted.push(round.get("lease", payload.lease), round.get("setting", "gaps"));
  for (const row of wanted) row.catch(() => {}); // whoever awaits it sees the failure
}
