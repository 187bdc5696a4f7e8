/**
 * The desk: every document and every timer of the market passes through here as an array (whatever queued while the last batch committed).
 * Handlers plan, the store commits; a plan that lost a race is planned again on what is there now.
 */
import { refuse, parseDocument, type AnyDocument, type Envelope, type Json, type Refusal } from "@xenoservers/protocol";
import type { CommitResult, MarketEvent } from "../store/store.ts";
import * as accounts from "./accounts.ts";
import { identify, type PartyCaller } from "./caller.ts";
import * as disputes from "./disputes.ts";
import * as leases from "./leases.ts";
import * as offers from "./offers.ts";
import * as orders from "./orders.ts";
import type { Effect, Outcome, Planned } from "./outcome.ts";
import * as parties from "./parties.ts";
import * as replicas from "./replicas.ts";
import { Round, type Services } from "./round.ts";
import * as timers from "./timers.ts";
import * as traces from "./traces.ts";
import * as witnesses from "./witnesses.ts";

export type Answer = { ok: true; answer: { [key: string]: Json } } | Refusal;

/** How the desk reaches whoever is connected to this broker. Losing a message is harmless: it can be read again from the store. */
export interface Outbox {
  toServer(server: string, documents: readonly Envelope[]): void;
  event(event: MarketEvent): void;
}

type Task = { plan: (round: Round) => Promise<Outcome | null>; done: (answer: Answer | null) => void; failed: (error: unknown) => void; tries: number };

const TRIES_MAX = 20;
const BATCH_MAX = 256;
const DUE_MAX = 200;

export class Desk {
  readonly services: Services;
  readonly #outbox: Outbox;
  #queue: Task[] = [];
  #working = false;

  constructor(services: Services, outbox: Outbox) {
    this.services = services;
    this.#outbox = outbox;
  }

  /** Accepts one untrusted envelope. The same document again gets the same answer. */
  async submit(untrusted: unknown): Promise<Answer> {
    const parsed = parseDocument(this.services.crypto, untrusted);
    if (!parsed.ok) return parsed;
    const { document } = parsed;
    const answer = await this.#enqueue((round) => plan(round, document));
    return answer ?? refuse("unknown_kind", { kind: document.kind });
  }

  /** Runs every timer that is due; returns how many steps were taken. */
  async runTimers(): Promise<number> {
    const { store } = this.services;
    const now = this.services.now();
    const [dueLeases, dueBatches] = await Promise.all([store.due("lease", now, DUE_MAX), store.due("batch", now, DUE_MAX)]);
    await Promise.all([
      ...dueLeases.map(async (id) => {
        const before = (await store.load("lease", [id])).get(id)?.data.state;
        const done = await this.#enqueue((round) => timers.leaseDue(round, id));
        if (done?.ok && before === "bound") await this.#enqueue((round) => timers.orderAgain(round, id));
      }),
      ...dueBatches.map((id) => this.#enqueue((round) => timers.batchDue(round, id))),
    ]);
    return dueLeases.length + dueBatches.length;
  }

  #enqueue(planFor: Task["plan"]): Promise<Answer | null> {
    return new Promise((done, failed) => {
      this.#queue.push({ plan: planFor, done, failed, tries: 0 });
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
    const round = new Round(this.services);
    const outcomes = await Promise.all(tasks.map((task) => task.plan(round)));
    const plans: { task: Task; planned: Planned }[] = [];
    for (const [i, outcome] of outcomes.entries()) {
      const task = tasks[i]!;
      if (outcome === null) task.done(null);
      else if (!outcome.ok) task.done(outcome);
      else plans.push({ task, planned: outcome });
    }
    const results = await this.services.store.commit(plans.map(({ planned }) => planned.change));
    for (const [i, result] of results.entries()) await this.#conclude(plans[i]!.task, plans[i]!.planned, result);
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
      case "conflict":
        this.#again(task, refuse("conflict"));
        return;
      case "below_floor": {
        const [holder, bucket] = result.key.split("/");
        if (holder!.startsWith("s_")) {
          await this.services.index.refreshFree(this.services.store, [holder!]);
          this.#again(task, refuse("capacity_taken", { server: holder! }));
        } else if (bucket === "allowance") task.done(refuse("limit_reached", { account: holder!, missingNanos: result.missing.toString() }));
        else if (bucket === "day") task.done(refuse("limit_reached", { key: holder!, missingNanos: result.missing.toString() }));
        else if (bucket === "staked" || bucket === "locked")
          task.done(refuse("insufficient_stake", { account: holder!, missingNanos: result.missing.toString() }));
        else task.done(refuse("insufficient_funds", { account: holder!, missingNanos: result.missing.toString() }));
      }
    }
  }

  #again(task: Task, otherwise: Refusal): void {
    task.tries++;
    if (task.tries >= TRIES_MAX) task.done(otherwise);
    else this.#queue.push(task);
  }

  async #act(effect: Effect): Promise<void> {
    const { index, store } = this.services;
    switch (effect.kind) {
      case "to-server":
        return this.#outbox.toServer(effect.server, effect.documents);
      case "event":
        return this.#outbox.event(effect.event);
      case "index-server":
        return index.put(effect.row);
      case "index-free":
        return index.move(effect.server, effect.resources, effect.sign);
      case "refresh-free":
        return index.refreshFree(store, [effect.server]);
      case "index-suspended":
        return index.setSuspended(effect.party, effect.suspended);
    }
  }
}

async function plan(round: Round, document: AnyDocument): Promise<Outcome | null> {
  prefetch(round, document);
  const caller = await identify(round, document);
  const outcome = caller.ok ? await handle(round, document, caller as PartyCaller) : caller;
  if (outcome === null || outcome.ok) return outcome;
  // a repetition is planned on a state that it changed itself; it is answered as it was then
  const earlier = await round.desk.store.answerTo(document.id);
  if (earlier === null) return outcome;
  return { ok: true, change: { id: document.id, answer: earlier, uniques: [], puts: [], floors: [], transfers: [], documents: [], events: [] }, effects: [] };
}

/** Asks for the rows that the handler will surely want, so that they come in one turn. */
function prefetch(round: Round, { keyid, payload }: AnyDocument): void {
  const wanted = [round.get("key", keyid)];
  if ("party" in payload) wanted.push(round.get("party", payload.party) as never);
  if ("account" in payload && payload.account !== null) wanted.push(round.get("account", payload.account) as never, round.get("setting", "fee") as never);
  if ("lease" in payload) wanted.push(round.get("lease", payload.lease) as never);
  for (const row of wanted) row.catch(() => {}); // whoever awaits it sees the failure
}

/** One line per kind that may be submitted; the broker's own kinds were refused by identify. */
function handle(round: Round, document: AnyDocument, caller: PartyCaller): Promise<Outcome> | null {
  switch (document.kind) {
    case "party":
      return parties.registerParty(round, document);
    case "key-grant":
      return parties.grantKey(round, document, caller);
    case "key-revoke":
      return parties.revokeKey(round, document, caller);
    case "key-rotate":
      return parties.rotateKey(round, document, caller);
    case "suspension":
      return parties.suspendParty(round, document);
    case "account":
      return accounts.createAccount(round, document);
    case "account-limit":
      return accounts.limitAccount(round, document);
    case "credit":
      return accounts.creditParty(round, document);
    case "payout":
      return accounts.payOut(round, document, caller);
    case "stake":
      return accounts.moveStake(round, document, caller);
    case "fee":
      return accounts.setFee(round, document);
    case "batch":
      return accounts.openBatch(round, document, caller);
    case "batch-close":
      return accounts.closeBatch(round, document.payload.batch, document);
    case "offer":
      return offers.listOffer(round, document, caller);
    case "offer-withdrawal":
      return offers.withdrawOffer(round, document);
    case "order":
      return orders.placeOrder(round, document, caller);
    case "acceptance":
      return leases.acceptLease(round, document, caller);
    case "claim":
      return leases.receiveClaim(round, document, caller);
    case "commitment":
      return replicas.commitResult(round, document, caller);
    case "result":
      return leases.receiveResult(round, document, caller);
    case "stop":
      return leases.stopLease(round, document);
    case "extension":
      return leases.extendLease(round, document);
    case "objection":
      return leases.object(round, document);
    case "ruling":
      return leases.rule(round, document);
    case "referee":
      return disputes.nameReferee(round, document);
    case "witness":
      return witnesses.nameWitness(round, document);
    case "trace-request":
      return traces.requestTrace(round, document, caller);
    case "trace":
      return traces.receiveTrace(round, document, caller);
    case "dispute":
      return disputes.openDispute(round, document);
    default:
      return null;
  }
}
