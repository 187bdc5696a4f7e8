/**
 * One lease on the server, from its purchase order to the end. Everything signed is journaled first; everything can be taken up again after a
 * crash from the record alone.
 *
 *   accepting ──opening──▶ open ──job complete──▶ running ──guest ended──▶ ended ──result answered──▶ over
 *       └────────────────────┴───────── refused, closed, unreachable ────────────────────────────────▶ over
 *
 * Who controls the inputs: the broker (openings, stops, closings), the customer (channel), the guest (its ending and output).
 */
import { parseDocumentOf, toHex, type Payload, type SignedDocument } from "@xenoservers/protocol";
import type { Channel } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { isComparable } from "@xenoservers/verify";
import { Attachments, type AttachmentsHost, type JobHeader, type VmJobHeader } from "../customer/attachments.ts";
import { Claims } from "./claims.ts";
import type { GuestEnding, RunningGuest } from "../drivers/driver.ts";
import { adoptGuest, prepareGuest } from "./guest-start.ts";
import { jobProblem, neededBlobs, neededForVm, vmProblem } from "./job-intake.ts";
import type { LeaseRecord } from "./journal.ts";
import { LeaseClock } from "./lease-clock.ts";
import { DETAIL_MAX, NOTHING_RAN, signCommitment, signResult, type GuestSummary } from "./manifest.ts";
import { objectToWrongSettlement } from "./objection.ts";
import type { RunnerWorld } from "./runner-world.ts";
import { TraceAnswer } from "./trace-answer.ts";
import { Transfer, type NeededBlob } from "../customer/transfer.ts";
import { RefusedImage } from "../drivers/qemu/vm-driver.ts";
import { RefusedJob } from "../drivers/wasm/wasm-driver.ts";

/** Whether the time that was bought is over. */
const limited = (reason: string): boolean => reason === "time-limit" || reason === "budget";

export class LeaseRunner {
  readonly #world: RunnerWorld;
  readonly record: LeaseRecord;
  readonly #po: Payload<"purchase-order">;
  readonly #order: Payload<"order">;
  readonly #attachments: Attachments;
  #guest: RunningGuest | null = null;
  #starting = false;
  /** Every blob of the job is here and right. */
  #complete = false;
  #finishing = false;
  readonly #claims: Claims;
  readonly #trace: TraceAnswer;
  readonly #clock: LeaseClock;
  #cancelRetention: () => void = () => {};
  #receiptedAt: number;
  #closed = false;
  #released = false;

  constructor(world: RunnerWorld, record: LeaseRecord) {
    this.#world = world;
    this.record = record;
    const po = parseDocumentOf(world.crypto, "purchase-order", record.po);
    const order = po.ok ? parseDocumentOf(world.crypto, "order", po.document.payload.order) : po;
    if (!po.ok || !order.ok) throw new Error(`the journal of lease ${record.lease} is damaged`);
    this.#po = po.document.payload;
    this.#order = order.document.payload;
    this.#receiptedAt = world.timers.now();
    this.#clock = new LeaseClock(world, record, this.#po, {
      guest: () => this.#guest,
      save: () => this.#save(),
      over: (reason) => this.#apart(this.stop(reason)),
    });
    this.#attachments = new Attachments(this.#customersView());
    this.#trace = new TraceAnswer(world, record, this.#po, this.#order);
    this.#claims = new Claims(world, record, this.#po, {
      usedMs: () => this.usedMs,
      egressBytes: () => this.#guest?.egressBytes?.() ?? 0,
      isFinishing: () => this.#finishing,
      isClosed: () => this.#closed,
      silent: () => this.#apart(this.#clock.silent(world.timers.now() - this.#receiptedAt)),
      heard: () => {
        this.#receiptedAt = world.timers.now();
        return this.#clock.heard();
      },
      closed: (why) => this.#end(why),
    });
  }

  get resources() {
    return this.#po.resources;
  }

  get isVm(): boolean {
    return this.#order.driver === "qemu";
  }

  get holdsCapacity(): boolean {
    return this.record.stage !== "over" && this.record.stage !== "ended";
  }

  get usedMs(): number {
    return this.#clock.usedMs;
  }

  /** Work that nobody waits for: what goes wrong in it is told to the owner, and the daemon lives on. */
  #apart(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#world.log("a lease failed", { lease: this.record.lease, error: String((error as Error).stack ?? error) }));
  }

  async #save(): Promise<void> {
    await this.#world.journal.save(this.record);
  }

  /** Begins, or goes on where the journal says an earlier daemon stopped. */
  async start(): Promise<void> {
    const { record } = this;
    if (record.stage === "accepting") return this.#accept();
    if (record.stage === "over") return this.#retain();
    this.#claims.schedule(0); // at once: the silence while no daemon ran counts against the grace
    if (record.stage === "open") {
      this.#complete = await this.#blobsAreHere();
      await this.#awaitInputs();
    } else if (record.guest) {
      this.#guest = await adoptGuest(this.#world, record, this.#po, this.#order, record.guest.token);
      this.#follow();
    }
    if (record.stage === "ended") this.#apart(this.#handIn());
  }

  /** Whether its customer may see what the guest wrote: a replica's is held back until every replica has committed to its result. */
  get #isShown(): boolean {
    return this.#order.replicas === 1 || this.record.revealed || (this.record.result !== null && this.record.commitment === null);
  }

  async #accept(): Promise<void> {
    const { record } = this;
    const answer = await this.#world.submit(record.acceptance);
    if (this.#closed) return;
    if (!answer.ok) return this.#end(`the acceptance was refused: ${answer.code}`);
    const opening = parseDocumentOf(this.#world.crypto, "opening", answer.answer["opening"]);
    const right = opening.ok && opening.document.keyid === this.#world.pins().keys.purchaseOrders && opening.document.payload.lease === record.lease;
    if (!right) return this.#end("the broker's opening is not valid");
    record.openingId = opening.document.id;
    record.openedAt = opening.document.payload.at;
    record.stage = "open"; // saved with the next step: before that, the acceptance is repeated and answered with the same opening
    this.#receiptedAt = this.#world.timers.now();
    this.#world.log("lease open", { lease: record.lease });
    this.#claims.schedule();
    this.#attachments.sendState();
    await this.#awaitInputs();
  }

  /** Starts the guest when its bytes are here; else gives the customer until startBy. */
  async #awaitInputs(): Promise<void> {
    this.#clock.awaitUntil(this.#po.startBy, () => this.#apart(this.#inputsMissing()));
    await this.#maybeStart();
  }

  async #inputsMissing(): Promise<void> {
    if (this.record.stage === "open" && !this.#starting) await this.#finish({ reason: "input-missing", ...NOTHING_RAN });
  }

  // --- channel --------------------------------------------------------------------------------------------------------------------------

  attach(pipe: Pipe): void {
    this.#attachments.attach(pipe);
  }

  #customersView(): AttachmentsHost {
    const { record } = this;
    return {
      lease: record.lease,
      channelKey: this.#world.channelKey,
      customerKey: this.#order.channelKey,
      guest: () => this.#guest,
      result: () => record.result,
      state: () => ({ state: record.result ? "ended" : this.#guest ? "running" : record.job || record.vm ? "preparing" : "waiting", usedMs: this.usedMs }),
      isShown: () => this.#isShown,
      requests: {
        guest: () => (this.record.stage === "running" ? this.#guest : null),
        pause: () => this.#clock.hold(true),
        resume: () => this.#clock.hold(false),
      },
      takeJob: (header, channel) => this.#takeJob(header, channel),
      jobIsHere: async () => {
        this.#complete = true;
        await this.#maybeStart();
      },
      cannotTake: async (why) => {
        if (record.stage === "open" && !this.#starting) await this.#finish({ reason: "server-failed", ...NOTHING_RAN, detail: why });
      },
      read: (digest, offset, length) => this.#read(digest, offset, length),
    };
  }

  async #needed(): Promise<NeededBlob[] | null> {
    const { driver, vms } = this.#world;
    const { job, vm } = this.record;
    if (vm) return vms ? neededForVm(vm, this.#order.party, vms) : null;
    return job && neededBlobs(job, driver);
  }

  async #blobsAreHere(): Promise<boolean> {
    const needed = await this.#needed();
    for (const { digest } of needed ?? []) if (!(await this.#world.journal.checkBlob(this.record.lease, digest))) return false;
    return needed !== null;
  }

  async #takeJob({ t, ...brought }: JobHeader | VmJobHeader, channel: Channel): ReturnType<AttachmentsHost["takeJob"]> {
    const { crypto, driver, vms, journal } = this.#world;
    const wasm = this.#order.driver === "wasm";
    const problem = wasm
      ? t === "job"
        ? jobProblem(crypto, driver, this.#po, this.#order, brought as Omit<JobHeader, "t">)
        : "a WebAssembly job was ordered, not a machine"
      : t === "vm"
        ? vmProblem(crypto, vms, this.#po, this.#order, brought as Omit<VmJobHeader, "t">)
        : "a machine was ordered, not a WebAssembly job";
    if (problem !== null) return { problem };
    if (this.record.guest || this.record.result || this.#starting) return null;
    // saved when the guest starts: before that, the customer brings it again
    if (t === "job") this.record.job = brought as Omit<JobHeader, "t">;
    else this.record.vm = brought as Omit<VmJobHeader, "t">;
    return { transfer: new Transfer(journal, this.record.lease, channel, (await this.#needed())!) };
  }

  /** An output file, when it may be shown; or a piece of the states that a trace left. */
  async #read(digest: string, offset: number, length: number): Promise<Uint8Array | null> {
    const listed = this.#isShown && this.record.result?.tree.some((entry) => entry.kind === "file" && entry.digest === digest);
    if (listed && this.#guest) return this.#guest.readOutput(digest, offset, length);
    const part = await this.#trace.read(digest, offset, length);
    return part.length > 0 ? part : null;
  }

  // --- the guest ------------------------------------------------------------------------------------------------------------------------

  async #maybeStart(): Promise<void> {
    const { record } = this;
    if (record.stage !== "open" || !this.#complete || !(record.job ?? record.vm) || this.#starting || this.#closed) return;
    this.#starting = true;
    this.#clock.cancel();
    try {
      const prepared = await prepareGuest(this.#world, record, this.#po, this.#order);
      if (this.#finishing || this.#closed) return await prepared.discard(); // stopped or closed while it was made
      record.guest = { token: prepared.token, startedMonotonicMs: this.#world.driver.monotonicMs(), pausedMs: 0 };
      record.stage = "running";
      await this.#save();
      this.#guest = await prepared.begin();
      if (this.#released) return this.#guest.release();
      if (this.#closed) {
        await this.#guest.kill();
        return await this.#guest.dispose();
      }
    } catch (error) {
      if (error instanceof RefusedJob) return this.#finish({ reason: "job-refused", ...NOTHING_RAN, detail: error.message });
      if (error instanceof RefusedImage) return this.#finish({ reason: "image-refused", ...NOTHING_RAN, detail: error.message });
      this.#world.log("the guest did not start", { lease: record.lease, error: String(error) });
      return this.#finish({ reason: "server-failed", ...NOTHING_RAN, detail: "the guest did not start" });
    }
    this.#follow();
  }

  #follow(): void {
    const guest = this.#guest!;
    guest.onChange(() => this.#attachments.pump());
    this.#attachments.sendState();
    if (this.record.result) return;
    this.#clock.limit();
    if (this.record.stop) this.#apart(guest.stop());
    this.#apart(guest.ended.then((ending) => this.#guestEnded(ending)));
  }

  /** Stops the guest; what it has so far is handed in under this reason. */
  async stop(reason: NonNullable<LeaseRecord["stop"]>): Promise<void> {
    if (this.record.stop || this.record.result || this.#closed) return;
    this.record.stop = reason;
    await this.#save();
    if (this.#guest) {
      await this.#clock.heard();
      await this.#guest.stop();
    } else if (this.record.stage === "open") await this.#finish({ reason, ...NOTHING_RAN });
    else if (this.record.stage === "accepting") await this.#end("stopped before it was opened");
  }

  async #guestEnded(ending: GuestEnding): Promise<void> {
    if (this.#closed || this.record.result) return;
    const used = Math.min(this.#clock.usedAt(ending.endedMonotonicMs), this.record.durationMsMax);
    const usedMs = Math.max(used, this.record.lastClaim?.usedMs ?? 0, this.record.pendingClaim?.usedMs ?? 0);
    // a run with checkpoints cannot be interrupted: who has it stopped gets nothing of it
    if (ending.kind === "host-failure" && this.record.job?.segment && this.record.stop)
      return this.#finish({ reason: this.record.stop, ...NOTHING_RAN, usedMs: limited(this.record.stop) ? this.record.durationMsMax : usedMs });
    if (ending.kind === "host-failure") return this.#finish({ reason: "server-failed", ...NOTHING_RAN, detail: ending.detail.slice(0, DETAIL_MAX), usedMs });
    const reason =
      ending.reason === "stopped"
        ? (this.record.stop ?? "server-failed")
        : ending.reason === "fuel-limit" && !this.record.job?.segment
          ? this.#po.fuelBound
          : ending.reason;
    await this.#finish({
      reason,
      exitCode: reason === "completed" ? ending.exitCode : null,
      detail: ending.detail,
      fuel: ending.fuel,
      fuelInAll: ending.fuelInAll,
      memoryHash: ending.memoryHash,
      stateRoot: ending.stateRoot,
      tree: ending.tree,
      egressBytes: this.#guest?.egressBytes?.() ?? 0,
      usedMs: ending.reason === "stopped" && limited(reason) ? this.record.durationMsMax : usedMs,
    });
  }

  async #finish(end: GuestSummary & { reason: Payload<"result">["reason"] }): Promise<void> {
    if (this.#finishing || this.#closed) return;
    this.#finishing = true;
    this.#claims.stop();
    this.#clock.cancel();
    const [stdout, stderr] = await Promise.all([this.#streamDigest("stdout"), this.#streamDigest("stderr")]);
    const { record } = this;
    await this.#claims.settled();
    if (this.#closed) return;
    const document = signResult(this.#world, record, this.#order, end, { stdoutDigest: stdout.digest, stderrDigest: stderr.digest });
    record.result = {
      id: document.id,
      envelope: document.envelope,
      usedMs: document.payload.usedMs,
      egressBytes: document.payload.egressBytes,
      fuel: document.payload.fuel,
      tree: end.tree,
      stdoutSize: stdout.size,
      stderrSize: stderr.size,
    };
    record.stage = "ended";
    if (this.#order.replicas > 1 && isComparable(end)) record.commitment = signCommitment(this.#world, record.lease, document).envelope;
    await this.#save();
    this.#attachments.pump();
    await this.#handIn();
  }

  /** Every replica has committed: the result may be shown. */
  async reveal(): Promise<void> {
    if (this.record.revealed || !this.record.commitment || this.#closed) return;
    this.record.revealed = true;
    await this.#save();
    this.#attachments.pump();
    await this.#handIn();
  }

  async #streamDigest(stream: "stdout" | "stderr"): Promise<{ digest: string; size: number }> {
    const parts: Uint8Array[] = [];
    let size = 0;
    for (let bytes = await this.#guest?.readStream(stream, 0); bytes && bytes.length > 0; bytes = await this.#guest!.readStream(stream, size)) {
      parts.push(bytes);
      size += bytes.length;
    }
    return { digest: toHex(this.#world.crypto.sha256(Buffer.concat(parts))), size };
  }

  async #handIn(): Promise<void> {
    const { commitment, revealed } = this.record;
    if (commitment && !revealed) {
      const taken = await this.#world.submit(commitment);
      if (!taken.ok && !this.#closed) await this.#end(`the commitment was refused: ${taken.code}`);
      return;
    }
    const answer = await this.#world.submit(this.record.result!.envelope);
    if (answer.ok) await objectToWrongSettlement(this.#world, this.record, this.#po, answer.answer);
    if (!this.#closed) await this.#end(answer.ok ? "settled" : `the result was refused: ${answer.code}`);
  }

  /** The broker says that the lease is closed: no more work is paid for. */
  async closedByBroker(): Promise<void> {
    const { stage, commitment, revealed } = this.record;
    const waits = stage === "ended" && commitment !== null && !revealed;
    if (!waits && (stage === "ended" || stage === "over" || this.#finishing)) return;
    await this.#end("closed by the broker");
  }

  /** An amendment the broker signed: the lease may run longer. */
  async extend(durationMsMax: number): Promise<void> {
    if (durationMsMax <= this.record.durationMsMax || this.record.result) return;
    this.record.durationMsMax = durationMsMax;
    await this.#save();
    if (this.#guest) this.#clock.limit();
  }

  async #end(why: string): Promise<void> {
    if (this.#closed && this.record.stage === "over") return;
    this.#closed = true;
    this.#claims.stop();
    this.#clock.cancel();
    this.#world.log("lease over", { lease: this.record.lease, why });
    if (!this.record.result) await this.#guest?.kill();
    this.record.stage = "over";
    this.record.overAt = this.#world.timers.now();
    await this.#save();
    this.#retain();
  }

  #retain(): void {
    const left = this.record.result ? (this.record.overAt ?? 0) + this.#world.retainMs - this.#world.timers.now() : 0;
    this.#cancelRetention = this.#world.timers.after(Math.max(0, left), () => this.#apart(this.#forget()));
    if (this.record.guest && !this.#guest)
      this.#apart(adoptGuest(this.#world, this.record, this.#po, this.#order, this.record.guest.token).then((guest) => (this.#guest = guest)));
  }

  /** The customer doubts the result of this ended lease. */
  async trace(request: SignedDocument<"trace-request">): Promise<void> {
    await this.#trace.give(request).catch((error: unknown) => this.#world.log("a trace failed", { lease: this.record.lease, error: String(error) }));
  }

  async #forget(): Promise<void> {
    this.#attachments.close();
    await this.#trace.dispose();
    await this.#guest?.dispose();
    await this.#world.journal.remove(this.record.lease);
    this.#world.over(this.record.lease);
  }

  /** The daemon goes away; guests run on and are found again. */
  release(): void {
    this.#released = true;
    this.#closed = true;
    this.#claims.stop();
    this.#clock.cancel();
    this.#cancelRetention();
    this.#guest?.release();
  }
}
