/**
 * The usage claims of one lease: cumulative, chained, signed before they are sent, one under way at a time. The broker's receipts are also how the
 * server knows that it is still heard: silence longer than the grace pauses the guest. Who controls the inputs: the broker (its answers).
 */
import { signDocument, type Payload } from "@xenoservers/protocol";
import type { LeaseRecord, SignedClaim } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";

export interface ClaimsHost {
  usedMs(): number;
  egressBytes(): number;
  /** The guest's end is being handed in: no new claim is begun. */
  isFinishing(): boolean;
  isClosed(): boolean;
  /** The broker was not heard for the grace. */
  silent(): void;
  heard(): Promise<void>;
  /** The broker says that the lease is closed. */
  closed(why: string): Promise<void>;
}

const CLOSED_CODES = ["wrong_state", "not_found"];
const LOST_CODES = ["claim_out_of_order", "claim_chain_broken", "claim_decreasing"];

export class Claims {
  readonly #world: RunnerWorld;
  readonly #record: LeaseRecord;
  readonly #po: Payload<"purchase-order">;
  readonly #host: ClaimsHost;
  #cancel: () => void = () => {};
  #underWay: Promise<void> = Promise.resolve();

  constructor(world: RunnerWorld, record: LeaseRecord, po: Payload<"purchase-order">, host: ClaimsHost) {
    this.#world = world;
    this.#record = record;
    this.#po = po;
    this.#host = host;
  }

  schedule(afterMs = this.#po.timings.claimIntervalMs): void {
    this.#cancel();
    if (this.#host.isFinishing() || this.#host.isClosed()) return;
    this.#cancel = this.#world.timers.after(afterMs, () => {
      this.#underWay = this.#claim().catch((error: unknown) => this.#world.log("a claim failed", { lease: this.#record.lease, error: String(error) }));
    });
  }

  stop(): void {
    this.#cancel();
  }

  async #claim(): Promise<void> {
    const record = this.#record;
    if (this.#host.isClosed() || record.result || record.openingId === null) return;
    record.pendingClaim ??= this.#sign();
    await this.#world.journal.save(record);
    const heard = this.#world.timers.after(this.#po.timings.graceMs, () => this.#host.silent());
    const answer = await this.#world.submit(record.pendingClaim.envelope);
    heard();
    if (this.#host.isClosed()) return;
    if (answer.ok) {
      const { envelope: _, ...claim } = record.pendingClaim;
      record.lastClaim = claim;
      record.pendingClaim = null;
      await this.#world.journal.save(record);
      await this.#host.heard();
    } else if (LOST_CODES.includes(answer.code)) await this.#goOnFrom(answer.facts);
    else if (CLOSED_CODES.includes(answer.code)) return this.#host.closed(`the broker closed the lease (${answer.code})`);
    this.schedule();
  }

  #sign(): SignedClaim {
    const { crypto, signer } = this.#world;
    const record = this.#record;
    const sequence = (record.lastClaim?.sequence ?? 0) + 1;
    const usedMs = Math.max(record.lastClaim?.usedMs ?? 0, Math.min(this.#host.usedMs(), record.durationMsMax));
    const egressBytes = Math.max(record.lastClaim?.egressBytes ?? 0, this.#host.egressBytes());
    const { incarnation } = record;
    const previous = record.lastClaim?.id ?? record.openingId!;
    const document = signDocument(crypto, signer, "claim", {
      origin: this.#po.origin,
      seen: null,
      lease: record.lease,
      incarnation,
      sequence,
      usedMs,
      egressBytes,
      previous,
    });
    return { id: document.id, incarnation, sequence, usedMs, egressBytes, envelope: document.envelope };
  }

  /** A server that lost its disk goes on from the last logged claim as a new incarnation. */
  async #goOnFrom({ last, lastSequence, lastUsedMs, lastEgressBytes }: Record<string, unknown>): Promise<void> {
    const record = this.#record;
    if (typeof last !== "string" || typeof lastSequence !== "number" || typeof lastUsedMs !== "number" || typeof lastEgressBytes !== "number") return;
    record.incarnation++;
    record.lastClaim =
      lastSequence === 0 ? null : { id: last, incarnation: record.incarnation, sequence: lastSequence, usedMs: lastUsedMs, egressBytes: lastEgressBytes };
    record.pendingClaim = null;
    await this.#world.journal.save(record);
  }

  /** A claim that was signed must be answered before a result may follow it. */
  async settled(): Promise<void> {
    const record = this.#record;
    await this.#underWay;
    while (record.pendingClaim && !this.#host.isClosed()) {
      const answer = await this.#world.submit(record.pendingClaim.envelope);
      const { envelope: _, ...claim } = record.pendingClaim;
      record.pendingClaim = null;
      if (answer.ok) record.lastClaim = claim;
      else if (CLOSED_CODES.includes(answer.code)) await this.#host.closed(`the broker closed the lease (${answer.code})`);
      else await this.#goOnFrom(answer.facts);
    }
  }
}
