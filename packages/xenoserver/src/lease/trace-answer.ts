/**
 * A customer doubts the result of an ended lease: the job is run again with checkpoints, their roots are signed, and the states themselves wait to be
 * fetched. Idempotent: the same request gets the same signed answer. Who controls the inputs: the customer (the request), the guest (its roots).
 */
import { traceRootsMax } from "@xenoservers/market";
import { signDocument, type Payload, type SignedDocument } from "@xenoservers/protocol";
import type { GuestEnding, RunningGuest } from "../drivers/driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";

const NO_CHECKPOINTS = "this job has no checkpoints";
/** The longest a second run may take; the deadline of the market is shorter. */
const RUN_MS_MAX = 7 * 86_400_000;

export class TraceAnswer {
  readonly #world: RunnerWorld;
  readonly #record: LeaseRecord;
  readonly #po: Payload<"purchase-order">;
  readonly #order: Pick<Payload<"order">, "party" | "jobHash">;
  #busy = false;
  /** Its output folder holds the states. */
  guest: RunningGuest | null = null;

  constructor(world: RunnerWorld, record: LeaseRecord, po: Payload<"purchase-order">, order: Pick<Payload<"order">, "party" | "jobHash">) {
    this.#order = order;
    this.#world = world;
    this.#record = record;
    this.#po = po;
  }

  async give(request: SignedDocument<"trace-request">): Promise<void> {
    const { job, result } = this.#record;
    if (this.#busy || !job || !result || request.payload.lease !== this.#record.lease) return;
    if (request.payload.party !== this.#order.party || !this.#mayAsk(BigInt(request.payload.step), BigInt(result.fuel))) return;
    if (this.#record.trace !== null && this.#record.trace.request !== request.id) return;
    this.#busy = true;
    try {
      this.#record.trace ??= { request: request.id, token: null, envelope: null };
      this.#record.trace.envelope ??= await this.#signed(request, job);
      await this.#world.journal.save(this.#record);
      const answer = await this.#world.submit(this.#record.trace.envelope!);
      this.#world.log("trace handed in", { lease: this.#record.lease, answer: answer.ok ? "taken" : answer.code });
    } finally {
      this.#busy = false;
    }
  }

  /** The market's own bound on checkpoints, whatever the broker lets through. */
  #mayAsk(step: bigint, fuel: bigint): boolean {
    return step > 0n && fuel / step <= BigInt(traceRootsMax(this.#po.resources.memoryMib));
  }

  async #signed(request: SignedDocument<"trace-request">, job: NonNullable<LeaseRecord["job"]>) {
    const { crypto, signer, server, driver } = this.#world;
    const { lease } = this.#record;
    const { step } = request.payload;
    const ending = await this.#run(step, job);
    const roots = ending.kind === "result" ? ending.roots : null;
    const trace = { lease, server, request: request.id, jobHash: this.#order.jobHash, engine: driver.engine, step, roots: roots ?? [] };
    const detail = roots
      ? ""
      : (ending.detail || NO_CHECKPOINTS)
          .replaceAll(/\p{Cc}/gu, " ")
          .slice(0, 400)
          .toWellFormed();
    return signDocument(crypto, signer, "trace", { origin: this.#po.origin, seen: null, ...trace, detail }).envelope;
  }

  /** Found again where an earlier daemon had begun it. */
  async #run(step: string, { spec, inputs }: NonNullable<LeaseRecord["job"]>): Promise<GuestEnding> {
    const { driver, journal } = this.#world;
    const { lease } = this.#record;
    const trace = this.#record.trace!;
    if (trace.token) this.guest = await driver.adopt(trace.token);
    else {
      const prepared = await driver.prepare({
        lease,
        customer: this.#order.party,
        spec,
        inputs,
        fuelMax: BigInt(this.#po.fuelMax),
        runMsMax: RUN_MS_MAX,
        checkpoints: { kind: "trace", step },
        blobFile: (digest) => journal.blobFile(lease, digest),
      });
      trace.token = prepared.token;
      await journal.save(this.#record);
      this.guest = await prepared.begin();
    }
    return this.guest.ended;
  }

  /** A piece of a state; empty when it is not here. */
  async read(digest: string, offset: number, length: number): Promise<Uint8Array> {
    const { trace } = this.#record;
    if (!trace?.envelope) return new Uint8Array(0);
    if (!this.guest && trace.token) this.guest = await this.#world.driver.adopt(trace.token);
    return (await this.guest?.readOutput(digest, offset, length)) ?? new Uint8Array(0);
  }

  async dispose(): Promise<void> {
    const { token } = this.#record.trace ?? {};
    if (!this.guest && token) this.guest = await this.#world.driver.adopt(token);
    await this.guest?.kill();
    await this.guest?.dispose();
  }
}
