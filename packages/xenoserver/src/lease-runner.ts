/**
 * One lease on the server, from its purchase order to the end. Everything signed is journaled first; everything can be taken up again after a
 * crash from the record alone.
 *
 *   accepting ──opening──▶ open ──job complete──▶ running ──guest ended──▶ ended ──result answered──▶ over
 *       └────────────────────┴───────── refused, closed, unreachable ────────────────────────────────▶ over
 *
 * Who controls the inputs: the broker (openings, stops, closings), the customer (channel), the guest (its ending and output).
 */
import {
  canonicalBytes,
  endRootOf,
  jobHashOf,
  parseDocumentOf,
  segmentHashOf,
  signDocument,
  toHex,
  type Crypto,
  type Json,
  type Payload,
  type SignedDocument,
} from "@xenoservers/protocol";
import { isComparable } from "@xenoservers/verify";
import { respondChannel, type Channel, type ChannelHeader, type InputTree } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { Claims } from "./claims.ts";
import type { GuestEnding, RunningGuest } from "./driver.ts";
import { Follower } from "./follower.ts";
import type { LeaseRecord } from "./journal.ts";
import { objectToWrongSettlement } from "./objection.ts";
import type { RunnerWorld } from "./runner-world.ts";
import { TraceAnswer } from "./trace-answer.ts";
import { Transfer, type NeededBlob } from "./transfer.ts";

interface Attached {
  channel: Channel;
  follower: Follower | null;
  transfer: Transfer | null;
  from: { stdout: number; stderr: number };
  endedSent: boolean;
}

interface GuestSummary {
  exitCode: number | null;
  detail: string;
  fuel: bigint;
  fuelInAll: bigint;
  memoryHash: string | null;
  stateRoot: string | null;
  tree: InputTree["entries"];
  usedMs: number;
}
const NOTHING_RAN: GuestSummary = { exitCode: null, detail: "", fuel: 0n, fuelInAll: 0n, memoryHash: null, stateRoot: null, tree: [], usedMs: 0 };

const MIB = 1024 * 1024;
const DETAIL_MAX = 400;
const digestOf = (crypto: Crypto, value: unknown): string => toHex(crypto.sha256(canonicalBytes(value as Json)));

export class LeaseRunner {
  readonly #world: RunnerWorld;
  readonly record: LeaseRecord;
  readonly #po: Payload<"purchase-order">;
  readonly #order: Payload<"order">;
  readonly #customerKey: string;
  readonly #attached = new Set<Attached>();
  #guest: RunningGuest | null = null;
  #starting = false;
  /** Every blob of the job is here and right. */
  #complete = false;
  #finishing = false;
  readonly #claims: Claims;
  readonly #trace: TraceAnswer;
  #cancelLimit: () => void = () => {};
  #cancelRetention: () => void = () => {};
  #receiptedAt: number;
  #pausedSince: number | null = null;
  #closed = false;

  constructor(world: RunnerWorld, record: LeaseRecord) {
    this.#world = world;
    this.record = record;
    const po = parseDocumentOf(world.crypto, "purchase-order", record.po);
    const order = po.ok ? parseDocumentOf(world.crypto, "order", po.document.payload.order) : po;
    if (!po.ok || !order.ok) throw new Error(`the journal of lease ${record.lease} is damaged`);
    this.#po = po.document.payload;
    this.#order = order.document.payload;
    this.#customerKey = order.document.payload.channelKey;
    this.#receiptedAt = world.timers.now();
    this.#trace = new TraceAnswer(world, record, this.#po, this.#order.jobHash);
    this.#claims = new Claims(world, record, this.#po, {
      usedMs: () => this.usedMs,
      isFinishing: () => this.#finishing,
      isClosed: () => this.#closed,
      silent: () => this.#pause(),
      heard: () => {
        this.#receiptedAt = world.timers.now();
        return this.#resume();
      },
      closed: (why) => this.#end(why),
    });
  }

  get resources() {
    return this.#po.resources;
  }

  get holdsCapacity(): boolean {
    return this.record.stage !== "over" && this.record.stage !== "ended";
  }

  get usedMs(): number {
    return this.record.result?.usedMs ?? this.#usedAt(this.#pausedSince ?? this.#world.driver.monotonicMs());
  }

  #usedAt(monotonicMs: number): number {
    const { guest } = this.record;
    return guest ? Math.max(0, Math.floor(monotonicMs - guest.startedMonotonicMs - guest.pausedMs)) : 0;
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
      this.#complete = record.job !== null && (await this.#blobsAreHere(record.job));
      await this.#awaitInputs();
    } else if (record.guest) {
      this.#guest = await this.#world.driver.adopt(record.guest.token);
      this.#follow();
    }
    if (record.stage === "ended") void this.#handIn();
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
    for (const attached of this.#attached) this.#sendState(attached);
    await this.#awaitInputs();
  }

  /** Starts the guest when its bytes are here; else gives the customer until startBy. */
  async #awaitInputs(): Promise<void> {
    this.#cancelLimit = this.#world.timers.after(Math.max(0, this.#po.startBy - this.#world.timers.now()) + 500, () => void this.#inputsMissing());
    await this.#maybeStart();
  }

  async #inputsMissing(): Promise<void> {
    if (this.record.stage === "open" && !this.#starting) await this.#finish({ reason: "input-missing", ...NOTHING_RAN });
  }

  // --- silence --------------------------------------------------------------------------------------------------------------------------

  /** Silence longer than the grace: the guest waits, so that nobody works for nothing and the slot is never used twice. */
  async #pause(): Promise<void> {
    if (!this.#guest || this.#pausedSince !== null || this.record.stage !== "running") return;
    this.#pausedSince = this.#world.driver.monotonicMs();
    this.#world.log("guest paused: the broker is not heard", { lease: this.record.lease, sinceMs: this.#world.timers.now() - this.#receiptedAt });
    await this.#guest.pause();
  }

  async #resume(): Promise<void> {
    if (this.#pausedSince === null || !this.#guest) return;
    this.record.guest!.pausedMs += this.#world.driver.monotonicMs() - this.#pausedSince;
    this.#pausedSince = null;
    await this.#save();
    await this.#guest.resume();
    this.#limitTime();
  }

  // --- channel --------------------------------------------------------------------------------------------------------------------------

  attach(pipe: Pipe): void {
    respondChannel(pipe, this.#world.channelKey, this.#customerKey, this.record.lease, (channel) => {
      const attached: Attached = { channel, follower: null, transfer: null, from: { stdout: 0, stderr: 0 }, endedSent: false };
      let turn = Promise.resolve();
      this.#attached.add(attached);
      channel.onClose(() => this.#attached.delete(attached));
      channel.onMessage((header, body) => {
        turn = turn
          .then(() => this.#receive(attached, header, body))
          .catch((error: unknown) => this.#problem(attached, "internal", String((error as Error).message)));
      });
      this.#sendState(attached);
    });
  }

  #sendState({ channel }: Attached): void {
    const state = this.record.result ? "ended" : this.#guest ? "running" : this.record.job ? "preparing" : "waiting";
    channel.send({ t: "state", state, usedMs: this.usedMs });
  }

  #problem({ channel }: Attached, code: string, why: string): void {
    channel.send({ t: "problem", code, why: why.slice(0, DETAIL_MAX) });
  }

  async #receive(attached: Attached, header: ChannelHeader, body: Uint8Array): Promise<void> {
    switch (header.t) {
      case "job":
        return this.#receiveJob(attached, header);
      case "part":
        return attached.transfer?.receive(header.digest, header.offset, body);
      case "attach":
        attached.from = { stdout: header.stdout, stderr: header.stderr };
        attached.follower = this.#guest && this.#isShown ? new Follower(attached.channel, this.#guest, attached.from) : null;
        return this.#pump(attached);
      case "seen":
        attached.follower?.seen(header);
        return this.#pump(attached);
      case "want": {
        const { digest, offset, length } = header;
        const listed = this.#isShown && this.record.result?.tree.some((entry) => entry.kind === "file" && entry.digest === digest);
        const part = await (listed && this.#guest ? this.#guest : { readOutput: this.#trace.read.bind(this.#trace) }).readOutput(digest, offset, length);
        if (!listed && part.length === 0) return this.#problem(attached, "not_found", "no such output");
        return attached.channel.send({ t: "part", digest, offset }, part);
      }
      default:
        return this.#problem(attached, "bad_request", `a ${header.t} message makes no sense here`);
    }
  }

  #neededBlobs({ spec, inputs, moduleSize, stdinSize, segment }: NonNullable<LeaseRecord["job"]>): NeededBlob[] {
    const files = inputs.entries.flatMap((entry): NeededBlob[] => (entry.kind === "file" ? [{ digest: entry.digest, size: entry.size }] : []));
    const module = this.#world.driver.hasRuntime(spec.module) ? [] : [{ digest: spec.module, size: moduleSize }];
    return [...module, { digest: spec.stdin, size: stdinSize }, ...files, ...(segment?.pieces ?? [])];
  }

  async #blobsAreHere(job: NonNullable<LeaseRecord["job"]>): Promise<boolean> {
    for (const { digest } of this.#neededBlobs(job)) if (!(await this.#world.journal.checkBlob(this.record.lease, digest))) return false;
    return true;
  }

  async #receiveJob(attached: Attached, { spec, inputs, moduleSize, stdinSize, segment }: Extract<ChannelHeader, { t: "job" }>): Promise<void> {
    const { crypto, driver } = this.#world;
    const wrong = (why: string): void => this.#problem(attached, "result_mismatch", why);
    const whole = jobHashOf(crypto, spec);
    const ordered = segment ? segmentHashOf(crypto, whole, segment.segment) : whole;
    if (ordered !== this.#order.jobHash || this.#order.segment !== (segment !== null)) return wrong("the job is not the one that was ordered");
    if (segment?.segment.from != null && !segment.pieces.some(({ digest }) => digest === segment.segment.from)) return wrong("the state's manifest is missing");
    if (digestOf(crypto, inputs) !== spec.inputs) return wrong("the inputs are not the ones that were ordered");
    if (spec.engine !== driver.engine) return wrong(`this server's engine is ${driver.engine}`);
    if (!segment && spec.fuelMax !== this.#order.fuelMax) return wrong("the job's fuel is not the order's");
    if (spec.memoryMibMax > this.#po.resources.memoryMib) return wrong("the job may use more memory than the lease has");
    if (spec.diskMibMax > this.#po.resources.diskMib) return wrong("the job may use more disk than the lease has");
    const job = { spec, inputs, moduleSize, stdinSize, segment };
    const needed = this.#neededBlobs(job);
    const total = needed.reduce((sum, { size }) => sum + size, 0);
    if (total > (this.#po.resources.diskMib + this.#po.resources.memoryMib) * MIB) return wrong("the inputs are larger than the lease");
    if (this.record.guest || this.record.result || this.#starting) return this.#pump(attached);
    this.record.job = job; // saved when the guest starts: before that, the customer brings it again
    const transfer = new Transfer(this.#world.journal, this.record.lease, attached.channel, needed);
    attached.transfer = transfer;
    void transfer.finished.then(async (failure) => {
      if (failure !== null) return wrong(failure);
      this.#complete = true;
      await this.#maybeStart();
    });
    await transfer.start();
  }

  /** Sends what is new on one channel and, when all of it was sent, how the guest ended. */
  async #pump(attached: Attached): Promise<void> {
    if (!this.#isShown) return;
    if (!attached.follower && this.#guest) attached.follower = new Follower(attached.channel, this.#guest, attached.from);
    await attached.follower?.pump();
    const { result } = this.record;
    if (!result || attached.endedSent) return;
    if (attached.follower && !attached.follower.hasSent({ stdout: result.stdoutSize, stderr: result.stderrSize })) return;
    attached.endedSent = true;
    attached.channel.send({ t: "ended", result: result.envelope, tree: result.tree, stdoutSize: result.stdoutSize, stderrSize: result.stderrSize });
  }

  // --- the guest ------------------------------------------------------------------------------------------------------------------------

  async #maybeStart(): Promise<void> {
    const { record } = this;
    if (record.stage !== "open" || !this.#complete || !record.job || this.#starting || this.#closed) return;
    this.#starting = true;
    this.#cancelLimit();
    const { driver, journal } = this.#world;
    const { spec, inputs, segment } = record.job;
    try {
      const prepared = await driver.prepare({
        lease: record.lease,
        spec,
        inputs,
        // a segment ends by itself, or where its job does
        fuelMax: BigInt(segment ? spec.fuelMax : this.#po.fuelMax),
        checkpoints: segment && { kind: "segment", ...segment.segment, pieces: segment.pieces },
        runMsMax: Math.max(1, record.durationMsMax * 2),
        blobFile: (digest) => journal.blobFile(record.lease, digest),
      });
      record.guest = { token: prepared.token, startedMonotonicMs: driver.monotonicMs(), pausedMs: 0 };
      record.stage = "running";
      await this.#save();
      this.#guest = await prepared.begin();
    } catch (error) {
      this.#world.log("the guest did not start", { lease: record.lease, error: String(error) });
      return this.#finish({ reason: "server-failed", ...NOTHING_RAN, detail: "the guest did not start" });
    }
    this.#follow();
  }

  #follow(): void {
    const guest = this.#guest!;
    guest.onChange(() => {
      for (const attached of this.#attached) void this.#pump(attached);
    });
    for (const attached of this.#attached) this.#sendState(attached);
    if (this.record.result) return;
    this.#limitTime();
    if (this.record.stop) void guest.stop();
    void guest.ended
      .then((ending) => this.#guestEnded(ending))
      .catch((error: unknown) => this.#world.log("a lease failed", { lease: this.record.lease, error: String((error as Error).stack ?? error) }));
  }

  #limitTime(): void {
    this.#cancelLimit();
    const left = this.record.durationMsMax - this.usedMs;
    this.#cancelLimit = this.#world.timers.after(Math.max(1, left + 2), () => {
      if (this.#pausedSince !== null || this.record.result) return;
      if (this.usedMs < this.record.durationMsMax) return this.#limitTime();
      void this.stop(this.#boundBy());
    });
  }

  #boundBy(): "time-limit" | "budget" {
    return this.record.durationMsMax > this.#po.durationMsMax ? "time-limit" : this.#po.timeBound;
  }

  /** Stops the guest; what it has so far is handed in under this reason. */
  async stop(reason: NonNullable<LeaseRecord["stop"]>): Promise<void> {
    if (this.record.stop || this.record.result || this.#closed) return;
    this.record.stop = reason;
    await this.#save();
    if (this.#guest) {
      await this.#resume();
      await this.#guest.stop();
    } else if (this.record.stage === "open") await this.#finish({ reason, ...NOTHING_RAN });
    else if (this.record.stage === "accepting") await this.#end("stopped before it was opened");
  }

  async #guestEnded(ending: GuestEnding): Promise<void> {
    if (this.#closed || this.record.result) return;
    const used = Math.min(this.#usedAt(ending.endedMonotonicMs), this.record.durationMsMax);
    const usedMs = Math.max(used, this.record.lastClaim?.usedMs ?? 0, this.record.pendingClaim?.usedMs ?? 0);
    if (ending.kind === "host-failure") return this.#finish({ reason: "server-failed", ...NOTHING_RAN, detail: ending.detail.slice(0, DETAIL_MAX), usedMs });
    const reason =
      ending.reason === "stopped"
        ? (this.record.stop ?? "server-failed")
        : ending.reason === "fuel-limit" && !this.record.job?.segment
          ? this.#po.fuelBound
          : ending.reason;
    const limited = ending.reason === "stopped" && (reason === "time-limit" || reason === "budget");
    await this.#finish({
      reason,
      exitCode: reason === "completed" ? ending.exitCode : null,
      detail: ending.detail,
      fuel: ending.fuel,
      fuelInAll: ending.fuelInAll,
      memoryHash: ending.memoryHash,
      stateRoot: ending.stateRoot,
      tree: ending.tree,
      usedMs: limited ? this.record.durationMsMax : usedMs,
    });
  }

  async #finish(end: GuestSummary & { reason: Payload<"result">["reason"] }): Promise<void> {
    if (this.#finishing || this.#closed) return;
    this.#finishing = true;
    this.#claims.stop();
    this.#cancelLimit();
    const { crypto, driver } = this.#world;
    const [stdout, stderr] = await Promise.all([this.#streamDigest("stdout"), this.#streamDigest("stderr")]);
    const { record } = this;
    await this.#claims.settled();
    if (this.#closed) return;
    const outputDigest = digestOf(crypto, end.tree);
    const { reason, exitCode, fuelInAll, memoryHash } = end;
    const ended = { reason, exitCode, fuel: fuelInAll, memoryHash, outputDigest, stdoutDigest: stdout.digest, stderrDigest: stderr.digest };
    const document = signDocument(crypto, this.#world.signer, "result", {
      origin: this.#po.origin,
      seen: null,
      lease: record.lease,
      server: this.#world.server,
      jobHash: this.#order.jobHash,
      engine: driver.engine,
      reason: end.reason,
      exitCode: end.exitCode,
      usedMs: Math.max(end.usedMs, record.lastClaim?.usedMs ?? 0),
      lastClaim: record.lastClaim?.id ?? record.openingId!,
      fuel: end.fuel.toString(),
      memoryHash: end.memoryHash,
      outputDigest,
      stdoutDigest: stdout.digest,
      stderrDigest: stderr.digest,
      // a segment in which the job came to its end is compared by that
      stateRoot: end.stateRoot ?? (record.job?.segment && isComparable({ reason }) ? endRootOf(crypto, ended) : null),
      nonce: toHex(crypto.randomBytes(32)),
      detail: end.detail.replaceAll(/\p{Cc}/gu, " ").slice(0, DETAIL_MAX),
    });
    record.result = {
      id: document.id,
      envelope: document.envelope,
      usedMs: document.payload.usedMs,
      fuel: document.payload.fuel,
      tree: end.tree,
      stdoutSize: stdout.size,
      stderrSize: stderr.size,
    };
    record.stage = "ended";
    if (this.#order.replicas > 1 && isComparable({ reason })) {
      const commitment = { origin: this.#po.origin, seen: null, lease: record.lease, server: this.#world.server, result: document.id };
      record.commitment = signDocument(crypto, this.#world.signer, "commitment", commitment).envelope;
    }
    await this.#save();
    for (const attached of this.#attached) void this.#pump(attached);
    await this.#handIn();
  }

  /** Every replica has committed: the result may be shown. */
  async reveal(): Promise<void> {
    if (this.record.revealed || !this.record.commitment || this.#closed) return;
    this.record.revealed = true;
    await this.#save();
    for (const attached of this.#attached) void this.#pump(attached);
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
    if (this.record.stage === "ended" || this.record.stage === "over" || this.#finishing) return;
    await this.#end("closed by the broker");
  }

  /** An amendment the broker signed: the lease may run longer. */
  async extend(durationMsMax: number): Promise<void> {
    if (durationMsMax <= this.record.durationMsMax || this.record.result) return;
    this.record.durationMsMax = durationMsMax;
    await this.#save();
    if (this.#guest) this.#limitTime();
  }

  async #end(why: string): Promise<void> {
    if (this.#closed && this.record.stage === "over") return;
    this.#closed = true;
    this.#claims.stop();
    this.#cancelLimit();
    this.#world.log("lease over", { lease: this.record.lease, why });
    if (!this.record.result) await this.#guest?.kill();
    this.record.stage = "over";
    this.record.overAt = this.#world.timers.now();
    await this.#save();
    this.#retain();
  }

  #retain(): void {
    const left = this.record.result ? (this.record.overAt ?? 0) + this.#world.retainMs - this.#world.timers.now() : 0;
    this.#cancelRetention = this.#world.timers.after(Math.max(0, left), () => void this.#forget());
    if (this.record.guest && !this.#guest) void this.#world.driver.adopt(this.record.guest.token).then((guest) => (this.#guest = guest));
  }

  /** The customer doubts the result of this ended lease. */
  async trace(request: SignedDocument<"trace-request">): Promise<void> {
    await this.#trace.give(request).catch((error: unknown) => this.#world.log("a trace failed", { lease: this.record.lease, error: String(error) }));
  }

  async #forget(): Promise<void> {
    for (const { channel } of this.#attached) channel.close();
    await this.#trace.dispose();
    await this.#guest?.dispose();
    await this.#world.journal.remove(this.record.lease);
    this.#world.over(this.record.lease);
  }

  /** The daemon goes away; guests run on and are found again. */
  release(): void {
    this.#closed = true;
    this.#claims.stop();
    this.#cancelLimit();
    this.#cancelRetention();
    this.#guest?.release();
  }
}
