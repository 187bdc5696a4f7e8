/**
 * Follows one lease at the broker until it is settled, or until nothing signed lets it go on: no customer waits for ever. A lease that
 * lapsed is followed to where its order was placed again. Who controls the inputs: the broker, every answer.
 */
import { unreachableAfterMs } from "@xenoservers/market";
import { isTakenLater, zLeaseView, type Envelope, type LeaseView, type Payload } from "@xenoservers/protocol";
import type { LinkEvent } from "@xenoservers/protocol/link";
import type { MarketClient } from "../client.ts";
import { RefusedError } from "../errors.ts";
import { BrokenMove, BrokenPurchaseOrder, fetchBound, type BoundOrder } from "../purchase-order.ts";
import type { Alarm } from "./alarm.ts";

const POLL_MS = 1_000;
/** A broker that answers has done by then what a deadline asks of it. */
const STALLED_AFTER_MS = 120_000;
/** A broker that does not answer is waited for so long past the lease's own end. */
const AWAY_AFTER_MS = 600_000;
/** A server that has not asked for the job so long before its time is over will not run it any more. */
const UNTAKEN_BEFORE_MS = 5_000;

/** `at`: when this side heard of it. `stalled`: it should long have ended and has not, in words. */
export type Outcome = { kind: "settled"; lease: LeaseView; at: number } | { kind: "stalled"; why: string };

interface WatchHost {
  client: MarketClient;
  alarm: Alarm;
  closed(): boolean;
  bound(): BoundOrder;
  /** Its order was placed on another server. */
  rebind(bound: BoundOrder): void;
  /** The same lease is at another server of its owner. */
  moved(bound: BoundOrder): void;
  /** It will never start: the broker wanted to place it under what was not ordered, or its server does not take it. */
  never(error: Error): void;
  /** Its server has asked for the job, or there is none to be brought from here. */
  isTaken(): boolean;
  /** Its server has said that it runs, or has run. */
  hasRun(): boolean;
  /** The signed word that its bytes are here, once there is one. */
  word(): Envelope | null;
}

/** When a lease has ended at the latest if every side is silent: by what was signed alone, in broker time. */
function endsBy({ startBy, timings }: Payload<"purchase-order">, durationMsMax: number): number {
  return startBy + durationMsMax + unreachableAfterMs(timings) + timings.graceMs + timings.deliverWithinMs;
}

const minutesOf = (ms: number): string => `${Math.max(1, Math.round(ms / 60_000))} min`;

export class LeaseWatch {
  readonly #host: WatchHost;
  outcome: Outcome | null = null;
  #seen: LeaseView | null = null;
  #wordHandedIn = false;
  #heardAt: number;
  /** How long the broker was away in all: every deadline is longer by as much. */
  #awayMs = 0;

  constructor(host: WatchHost) {
    this.#host = host;
    this.#heardAt = host.client.brokerNow();
  }

  /** Of an event: its lease may stand in it. */
  hint(event: LinkEvent | undefined): void {
    if (event?.kind !== "lease-settled" || event.lease !== this.#host.bound().po.id) return;
    const lease = zLeaseView.safeParse(event.data["lease"]);
    if (lease.success && lease.data.end) this.#settle(lease.data);
  }

  #settle(lease: LeaseView): void {
    this.outcome ??= { kind: "settled", lease, at: this.#host.client.timers.now() };
  }

  async run(): Promise<void> {
    const { client, alarm, closed, hasRun } = this.#host;
    const maySee = client.identity.scopes.includes("read");
    // a key that may not read follows no lease that runs: its holder has what comes through the channel
    while (!closed() && !this.outcome && (maySee || !hasRun())) {
      await alarm.wait(POLL_MS);
      if (closed() || this.outcome) break;
      if (maySee) await this.#look();
      else this.#lookUnseen();
    }
    alarm.ring();
  }

  /** What was signed says when it should run, and when it is over, whatever the broker would show. */
  #lookUnseen(): void {
    if (this.#host.hasRun()) return;
    this.#lookIfTaken();
    this.#stall(STALLED_AFTER_MS, "its server has never said that it runs, and this key may not look what became of the lease");
  }

  /** To where its documents say that it is: the broker's word alone moves nobody. */
  async #follow(lease: string): Promise<void> {
    const { client, bound, moved } = this.#host;
    const next = await fetchBound(client, lease, bound().order.id);
    if (next.serving.serverKey !== bound().serving.serverKey) moved(next);
  }

  async #look(): Promise<void> {
    const { client, bound, never } = this.#host;
    try {
      const lease = await client.read("lease", { params: { id: bound().po.id } });
      this.#heard();
      this.#seen = lease;
      if (lease.server !== bound().serving.server && lease.id === bound().po.id) await this.#follow(lease.id);
      if (lease.state === "lapsed") await this.#followOrder(lease);
      else if (lease.end) this.#settle(lease);
      else if (lease.state === "delivering") await this.#handIn();
      else if (lease.state === "open") this.#lookIfTaken();
      this.#stall(STALLED_AFTER_MS, `the lease should have ended, and the broker lets it stand as '${lease.state}'`);
    } catch (error) {
      if (error instanceof BrokenPurchaseOrder || error instanceof BrokenMove) return never(error);
      if (error instanceof RefusedError && error.refusal.code === "not_found")
        this.outcome = { kind: "stalled", why: "the broker does not know the lease" };
      else
        this.#stall(
          AWAY_AFTER_MS,
          `the lease should have ended, and the broker has not answered for ${minutesOf(client.brokerNow() - this.#heardAt)}`,
        );
    }
  }

  #heard(): void {
    const now = this.#host.client.brokerNow();
    this.#awayMs += Math.max(0, now - this.#heardAt - 2 * POLL_MS);
    this.#heardAt = now;
  }

  #stall(afterMs: number, why: string): void {
    if (this.outcome) return;
    const { client, bound } = this.#host;
    const { payload } = bound().po;
    const end = endsBy(payload, this.#seen?.durationMsMax ?? payload.durationMsMax) + this.#awayMs;
    if (client.brokerNow() > Math.max(end, this.#seen?.deadlineAt ?? 0) + afterMs) this.outcome = { kind: "stalled", why };
  }

  /** Its customer does not wait until its server may say that the inputs are missing. */
  #lookIfTaken(): void {
    const { client, bound, isTaken, never } = this.#host;
    if (isTaken() || client.brokerNow() < bound().po.payload.startBy - UNTAKEN_BEFORE_MS) return;
    never(new Error("its server has taken the order, and nothing of the job"));
  }

  /** Its server has handed in the result alone: what came of its bytes is said to the broker directly. */
  async #handIn(): Promise<void> {
    const word = this.#host.word();
    if (word === null || this.#wordHandedIn) return;
    const answer = await this.#host.client.submit(word);
    // refused where the server was faster; a broker that is away is told at the next look
    this.#wordHandedIn = answer.ok || !isTakenLater(answer.code);
  }

  /** A lease that has lapsed is told together with where its order went: where that is nowhere, the order is over. */
  async #followOrder(lapsed: LeaseView): Promise<void> {
    const { client, bound, rebind } = this.#host;
    const order = await client.read("order", { params: { id: lapsed.orderId } });
    if (order.lease !== null && order.lease !== lapsed.id) rebind(await fetchBound(client, order.lease, bound().order.id));
    // it waits for another server that has room
    else if (order.waiting === null) this.#settle(lapsed);
  }
}
