/**
 * A customer doubts the result of an ended lease: the job is run again with breakpoints, their roots are signed, and the states themselves
 * wait to be fetched. Idempotent: the same request gets the same signed answer. That the customer may ask, and for how many states, was the
 * fold's to say. Who controls the inputs: the customer (the request), the guest (its roots).
 */
import { limitToRun } from "@xenoservers/market";
import { signDocument, type Envelope } from "@xenoservers/protocol";
import type { GuestEnding, GuestJob, RunningGuest } from "../drivers/driver.ts";
import type { LeaseRecord } from "./journal.ts";
import type { LeaseContext } from "./lease-context.ts";
import { DETAIL_MAX } from "./guest-end.ts";
import { filedBy, surely } from "./submitting.ts";

const NO_BREAKPOINTS = "this job has no breakpoints";
/** The longest a second run may take; the deadline of the market is shorter. */
const RUN_MS_MAX = 7 * 86_400_000;

type Trace = NonNullable<LeaseRecord["trace"]>;

export class TraceAnswer {
  readonly #ctx: LeaseContext;
  /** The lease's work as a guest to be made, for a trace. */
  readonly #job: (trace: GuestJob["trace"]) => GuestJob | null;
  #busy = false;
  /** Its output folder holds the states. */
  #guest: RunningGuest | null = null;

  constructor(ctx: LeaseContext, job: (trace: GuestJob["trace"]) => GuestJob | null) {
    this.#ctx = ctx;
    this.#job = job;
  }

  /** Answers what the lease was asked for; nothing where nothing was. */
  async give(): Promise<void> {
    const { record, facts, world } = this.#ctx;
    const asked = facts.lease.trace;
    if (this.#busy || !asked || asked.step === null || asked.document !== null) return;
    this.#busy = true;
    try {
      if (record.trace?.request !== asked.request) record.trace = { request: asked.request, token: null, envelope: null };
      const { trace } = record;
      const envelope = (trace.envelope ??= await this.#signed(trace, asked.step));
      await this.#ctx.save();
      const answer = await surely(this.#ctx, () => world.submit(envelope));
      this.#ctx.log("trace handed in", { answer: answer.ok ? "taken" : answer.code });
      if (answer.ok) await this.#ctx.took(filedBy([envelope], answer.answer));
    } finally {
      this.#busy = false;
    }
  }

  async #signed(trace: Trace, step: string): Promise<Envelope> {
    const { world, record, facts, order, po, driver } = this.#ctx;
    const ending = await this.#run(trace, step);
    const roots = ending.kind === "result" ? ending.roots : null;
    const detail = roots
      ? ""
      : (ending.detail || NO_BREAKPOINTS)
          .replaceAll(/\p{Cc}/gu, " ")
          .slice(0, DETAIL_MAX)
          .toWellFormed();
    return signDocument(world.crypto, world.signer, "trace", {
      ...{ origin: po.origin, seen: world.seen(), lease: record.lease, server: world.server, request: trace.request },
      ...{ jobHash: order.jobHash, engine: facts.lease.result?.engine ?? driver.engine, step, roots: roots ?? [], detail },
    }).envelope;
  }

  /** Found again where an earlier daemon had begun it. */
  async #run(trace: Trace, step: string): Promise<GuestEnding> {
    const { driver, facts } = this.#ctx;
    const { lease } = facts;
    const { result } = lease;
    const failed = (detail: string): GuestEnding => ({ kind: "host-failure", detail, endedMonotonicMs: driver.monotonicMs() });
    // another engine makes other states of the same job, and nobody has lied
    if (result && result.engine !== driver.engine) return failed(`it ran on ${result.engine}, and this server has ${driver.engine} by now`);
    const job = this.#job({ step, upTo: result && limitToRun(lease, { ...result, fuelMax: lease.fuelMax }) });
    if (!job || !driver.capabilities.breakpoints) return failed(NO_BREAKPOINTS);
    const found = trace.token && (await driver.adopt(trace.token, job));
    if (found) this.#guest = found;
    else {
      const prepared = await driver.prepare({ ...job, runMsMax: RUN_MS_MAX });
      trace.token = prepared.token;
      await this.#ctx.save();
      this.#guest = await prepared.begin();
    }
    return this.#guest.ended;
  }

  async #found(): Promise<RunningGuest | null> {
    const { trace } = this.#ctx.record;
    const job = trace?.token ? this.#job({ step: "0", upTo: null }) : null;
    if (!this.#guest && trace?.token && job) this.#guest = await this.#ctx.driver.adopt(trace.token, job);
    return this.#guest;
  }

  /** A piece of a state; empty when it is not here. */
  async read(digest: string, offset: number, length: number): Promise<Uint8Array> {
    const guest = this.#ctx.record.trace?.envelope ? await this.#found() : null;
    return (await guest?.readOutput(digest, offset, length)) ?? new Uint8Array(0);
  }

  async dispose(): Promise<void> {
    const guest = await this.#found();
    await guest?.kill();
    await guest?.dispose();
  }
}
