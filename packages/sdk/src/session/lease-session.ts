/**
 * The customer's end of one lease while it runs: brings the job's bytes, follows output, takes the result and says so. A lost link never
 * ends the job: the session reconnects and goes on where it was. Who controls the inputs: the server (channel messages), the broker
 * (events).
 */
import { letGo, type Envelope, type LeaseView, type Verified } from "@xenoservers/protocol";
import {
  Turns,
  WANTS_UNDER_WAY_MAX,
  initiateChannel,
  type ByteSource,
  type Channel,
  type ChannelHeader,
} from "@xenoservers/protocol/channel";
import type { LinkEvent, Pipe, Timers } from "@xenoservers/protocol/link";
import type { BuiltWork } from "../built.ts";
import type { MarketClient } from "../client.ts";
import { RefusedError } from "../errors.ts";
import { channelKeyFor } from "../identity.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { withdrawOrder } from "../withdrawing.ts";
import type { Withdrawn } from "../withdrawn.ts";
import { Alarm } from "./alarm.ts";
import { Fetches, NotDelivered } from "./fetches.ts";
import { LeaseWatch } from "./lease-watch.ts";
import { MachineLink } from "./machine-link.ts";
import { bytesProblem, checkResult, wordOf, type Delivered } from "./result.ts";
import { fetchSealed } from "./sealed-copy.ts";
import { STREAMS, Streams, type Stream } from "./streams.ts";
import { Upload, type UploadProgress } from "./upload.ts";

export interface SessionHandlers {
  /** No more comes than a window ahead of what this has taken. */
  onOutput?(stream: Stream, bytes: Uint8Array): void | Promise<void>;
  /** The program reads what this side sends it: from where, or null for nothing of this side's. Asked once, when it runs. */
  onInput?: ((isTerminal: boolean) => ByteSource | null) | undefined;
  /** Its order was placed on another server, which begins anew: what came before is not its output. */
  onMoved?(): void;
  /** What was written so far, from where this side began to follow, has all come. */
  onShown?(): void;
  /** So much of the job has gone to its server by now. */
  onSent?: ((progress: UploadProgress) => void) | undefined;
  /** Progress for people: waiting, preparing, running, ended, reconnecting, matched again, and problems in words. */
  onState?(state: string): void;
  /**
   * Takes what is wanted of a result's files; only then does the customer say that it was delivered. Rejects with NotDelivered (as
   * `fetch` does) where the bytes are not what was signed, with anything else where this side cannot take them.
   */
  onResult?(delivered: Delivered, session: LeaseSession): Promise<void>;
}

/** What a session needs of a link. */
interface SessionLink {
  readonly up: boolean;
  openChannel(lease: string): Pipe;
}

type Wanted = Extract<ChannelHeader, { t: "want" }>;

const INPUT_IS_GONE = "the server that it was placed on before has read some of its input, which the next one would miss: run it again";
const RETRY_MS = 300;
const POLL_MS = 1_000;
/** A server answers a channel's first packet by itself, whatever it is doing. */
const HANDSHAKE_MS = 30_000;
/** How long after the settlement the result itself is waited for; it stays at the server longer. */
const RESULT_WAIT_MS = 60_000;

export class LeaseSession {
  readonly #client: MarketClient;
  readonly #timers: Timers;
  readonly #job: BuiltWork | null;
  readonly #handlers: SessionHandlers;
  readonly #link: SessionLink;
  readonly #alarm: Alarm;
  /** Of the server that it is on now. */
  #streams: Streams;
  readonly #fetches: Fetches;
  readonly #watch: LeaseWatch;
  #upload: Upload;
  readonly #failing = Promise.withResolvers<Error>();
  /** What can be asked of a running virtual machine. */
  readonly machine: MachineLink;
  #bound: BoundOrder;
  #channel: Channel | null = null;
  #closed = false;
  /** It will never start, and is being withdrawn. */
  #isFailing = false;
  /** Its server has said anything at all to this side. */
  #wasHeard = false;
  /** Its server has said that it runs, or has run. */
  #hasRun = false;
  #left: Withdrawn | null = null;
  /** That the server is not reached was said, and has not changed since. */
  #toldLost = false;
  /** The lease whose result is being taken here. */
  #taking: string | null = null;
  #delivered: Delivered | null = null;
  /** Why this side could not take the result. */
  #untaken: Error | null = null;
  #word: Envelope | null = null;
  #sealed: ReadonlyMap<string, Uint8Array> | null = null;
  #sealedTried = false;

  /** `from` says which output was seen before (attach); output is checked against the server's signed digests only from the start. */
  constructor(
    client: MarketClient,
    bound: BoundOrder,
    job: BuiltWork | null,
    handlers: SessionHandlers,
    link: SessionLink,
    from: Record<Stream, number> = { stdout: 0, stderr: 0 },
    timers: Timers = client.timers,
  ) {
    this.#timers = timers;
    this.#client = client;
    this.#bound = bound;
    this.#job = job;
    this.#handlers = handlers;
    this.#link = link;
    this.#alarm = new Alarm(timers);
    this.#streams = new Streams(from);
    this.#upload = new Upload(job);
    this.#fetches = new Fetches({ timers, channel: () => this.#channel, closed: () => this.#closed });
    this.machine = new MachineLink(
      () => this.#channel,
      (ms) => this.#alarm.wait(ms),
      (isTerminal) => handlers.onInput?.(isTerminal) ?? null,
    );
    this.#watch = new LeaseWatch({
      client,
      alarm: this.#alarm,
      closed: () => this.#closed,
      bound: () => this.#bound,
      rebind: (next) => this.#rebind(next),
      moved: (next) => this.#moved(next),
      never: (error) => this.#never(error),
      isTaken: () => this.#job === null || this.#wasHeard,
      hasRun: () => this.#hasRun,
      word: () => this.#word,
    });
    void this.#converse();
    void this.#watch.run().then(() => this.#afterwards());
  }

  get lease(): string {
    return this.#bound.po.id;
  }

  /** Whose server it is now. */
  get bound(): BoundOrder {
    return this.#bound;
  }

  /**
   * Resolves when the job will never start: a part of it cannot be had on this side, the broker placed it under what was not ordered, or
   * its server does not take it. The order is withdrawn by then.
   */
  get failed(): Promise<Error> {
    return this.#failing.promise;
  }

  /** What came of withdrawing it, where the job will never start; null: nothing was withdrawn. */
  get left(): Withdrawn | null {
    return this.#left;
  }

  /** An event from the link: saves waiting for the next poll, and reading again what it carries. */
  hint(event?: LinkEvent): void {
    this.#watch.hint(event);
    this.#alarm.ring();
  }

  /** Nothing of the server before counts any more, whatever it printed or showed. */
  #rebind(bound: BoundOrder): void {
    this.#bound = bound;
    this.#wasHeard = false;
    this.#hasRun = false;
    this.#upload = new Upload(this.#job);
    this.#streams = new Streams({ stdout: 0, stderr: 0 });
    [this.#delivered, this.#untaken, this.#word] = [null, null, null];
    if (!this.machine.moved()) return this.#never(new Error(INPUT_IS_GONE));
    this.#handlers.onMoved?.();
    this.#handlers.onState?.("matched again");
    this.#channel?.close();
  }

  /** Its owner has moved it: what it printed goes on where it was. */
  #moved(bound: BoundOrder): void {
    this.#bound = bound;
    this.#handlers.onState?.("moved to another server of its owner");
    this.#channel?.close();
  }

  #never(error: Error): void {
    if (this.#closed) return;
    this.#isFailing = true;
    this.close();
    void this.withdraw(this.#hasRun ? "the job cannot go on" : "the job cannot start").then((left) => {
      this.#left = left;
      this.#failing.resolve(error);
    });
  }

  #problem(why: string): void {
    this.#handlers.onState?.(`problem: ${why}`);
  }

  async #converse(): Promise<void> {
    for (let first = true; !this.#closed && !this.#over; first = false) {
      if (!first) await this.#alarm.wait(RETRY_MS);
      if (!this.#link.up || this.#closed) continue;
      try {
        await this.#talk(this.#bound);
      } catch {
        // the server is not there yet, or not any more; the watch finds out whether the lease still stands
      }
      this.#channel = null;
      this.machine.lost();
      this.#fetches.lost();
      if (!this.#closed && !this.#over && !this.#toldLost) this.#handlers.onState?.("reconnecting");
      this.#toldLost = true;
    }
  }

  /** One channel from its opening to its end. */
  async #talk({ po, order, serving }: BoundOrder): Promise<void> {
    const { identity } = this.#client;
    const pipe = this.#link.openChannel(po.id);
    // a server answers the order's own key alone
    const key = channelKeyFor(identity, order.payload.channelKey) ?? identity.channelKey;
    // a server that went in this very moment never answers, and its link's end may not be told of this channel
    const called = this.#timers.after(HANDSHAKE_MS, () => pipe.close());
    const channel = await initiateChannel(pipe, key, serving.channelKey, po.id).finally(called);
    const closed = new Promise<void>((resolve) => channel.onClose(() => resolve()));
    if (this.#closed || po.id !== this.lease) return channel.close();
    this.#channel = channel;
    const answers = new Turns(WANTS_UNDER_WAY_MAX);
    channel.onMessage((header, body) => {
      // one that has room for this channel says something
      this.#toldLost = false;
      // of a server that the order has left
      if (po.id !== this.lease) return;
      if (header.t !== "want") return this.#receive(channel, header, body);
      // the next is read while this one is sent
      const read = this.#read(header);
      return answers.add(() => this.#answer(channel, header, read));
    });
    if (this.#job && !this.#delivered) void channel.send(this.#job.message);
    void channel.send({ t: "attach", ...this.#streams.received });
    await closed;
  }

  get #isTaking(): boolean {
    return this.#taking === this.lease;
  }

  /** Nothing more will come: it ended without a result, or its result cannot be had for a while now. */
  get #over(): boolean {
    const { outcome } = this.#watch;
    if (outcome === null || this.#delivered !== null || this.#isTaking) return false;
    if (outcome.kind === "stalled") return true;
    const { end } = outcome.lease;
    if ((end?.result ?? null) === null || end?.reason === "not-delivered") return true;
    return this.#timers.now() > outcome.at + RESULT_WAIT_MS;
  }

  async #read({ digest, offset, length }: Wanted): Promise<Uint8Array | null> {
    this.#wasHeard = true;
    this.#upload.asked(digest, offset);
    try {
      return (await this.#job?.blobs.get(digest)?.read(offset, length)) ?? null;
    } catch (error) {
      this.#never(error instanceof Error ? error : new Error(String(error)));
      return null;
    }
  }

  async #answer(channel: Channel, { digest, offset }: Wanted, read: Promise<Uint8Array | null>): Promise<void> {
    const bytes = await read;
    if (!bytes) return;
    await channel.send({ t: "part", digest, offset }, bytes);
    const end = offset + bytes.length;
    if (this.#job?.blobs.get(digest)?.isReadAnew) letGo(bytes);
    if (channel !== this.#channel) return;
    this.#handlers.onSent?.(this.#upload.sent(digest, end));
  }

  async #receive(channel: Channel, header: ChannelHeader, body: Uint8Array): Promise<void> {
    this.#wasHeard = true;
    switch (header.t) {
      case "state":
        if (header.state === "preparing" || header.state === "running") this.#allIsThere();
        this.#hasRun ||= header.state === "running" || header.state === "ended";
        return this.#handlers.onState?.(header.state);
      case "shown":
        return this.#handlers.onShown?.();
      case "output":
        return this.#output(header.stream, header.offset, body);
      case "part":
        return this.#fetches.receive(header.digest, header.offset, body);
      case "ended":
        return this.#ended(header);
      case "problem":
        if (header.code === "not_found") return this.#fetches.missing(header.why);
        if (header.code === "internal") channel.close(); // the server stumbled: a new channel brings the job again
        return this.#problem(header.why);
      default:
        this.machine.receive(header, body);
    }
  }

  #allIsThere(): void {
    const progress = this.#upload.whole();
    if (progress) this.#handlers.onSent?.(progress);
  }

  /** Resolves when it was taken here. */
  async #output(stream: Stream, offset: number, bytes: Uint8Array): Promise<void> {
    const fresh = this.#streams.take(stream, offset, bytes);
    if (fresh !== null && fresh.length > 0) await this.#handlers.onOutput?.(stream, fresh);
  }

  #ended({ result, tree }: Extract<ChannelHeader, { t: "ended" }>): void {
    if (this.#delivered) return this.#say(); // the server did not hear it: its channel was lost
    if (this.#isTaking) return;
    const checked = checkResult(this.#bound, result);
    const why = checked.ok ? bytesProblem(this.#client, checked.document.payload, tree, this.#streams) : checked.why;
    if (!checked.ok || why !== null) return this.#problem(`the server's result is not right, and is not receipted: ${why}`);
    void this.#take({ result: checked.document.payload, tree, from: "server" }).then((taken) => taken && this.#receipt(checked.document));
  }

  /** Takes the files that are wanted; false where they did not come, cannot be kept here, or are of a server that the order has left. */
  async #take(delivered: Delivered): Promise<boolean> {
    const { lease } = this;
    this.#taking = lease;
    try {
      await this.#handlers.onResult?.(delivered, this);
      if (lease !== this.lease) return false;
      this.#delivered = delivered;
      return true;
    } catch (error) {
      if (lease !== this.lease) return false;
      if (error instanceof NotDelivered) this.#problem(`${error.message}; it is not receipted`);
      else this.#untaken = error instanceof Error ? error : new Error(String(error));
      return false;
    } finally {
      if (this.#taking === lease) this.#taking = null;
      this.#alarm.ring();
    }
  }

  /** Signs that everything is here; never where a stream was not seen from its start, or the lease is settled already. */
  #receipt(result: Verified<"result">): void {
    if (!this.#streams.whole || this.#watch.outcome) return;
    this.#word = wordOf(this.#client, this.#bound, result);
    this.#say();
  }

  #say(): void {
    if (this.#word) void this.#channel?.send({ t: "delivered", delivery: this.#word });
  }

  /** After the settlement: what is not here may lie sealed with the broker. */
  async #afterwards(): Promise<void> {
    const { outcome } = this.#watch;
    if (outcome?.kind === "settled" && outcome.lease.delivery?.by === "broker") await this.#fetchSealed();
    this.#alarm.ring();
  }

  async #fetchSealed(): Promise<void> {
    if (this.#delivered || this.#isTaking || this.#sealedTried || this.#closed) return;
    this.#sealedTried = true;
    try {
      const { delivered, streams, files } = await fetchSealed(this.#client, this.#bound);
      this.#sealed = files;
      for (const stream of STREAMS) await this.#output(stream, 0, streams[stream]);
      await this.#take(delivered);
    } catch (error) {
      const why = error instanceof RefusedError ? `the broker does not hand it out (${error.refusal.code})` : String(error);
      this.#problem(error instanceof NotDelivered ? error.message : `the sealed result cannot be had: ${why}`);
    }
  }

  /** The lease's end in the books; rejects where it never comes. */
  async settled(): Promise<LeaseView> {
    while (!this.#watch.outcome && !this.#closed) await this.#alarm.wait(POLL_MS);
    const { outcome } = this.#watch;
    if (outcome?.kind === "settled") return outcome.lease;
    // that it is closed for that reason is no word about its broker
    if (!outcome && this.#isFailing) throw await this.failed;
    throw new Error(outcome ? outcome.why : "the session was closed before the lease ended");
  }

  /** What was handed in and is what the server signed; null when the lease ended without it. Rejects where this side could not take it. */
  async delivered(): Promise<Delivered | null> {
    while (!this.#delivered && !this.#untaken && !this.#over && !this.#closed) await this.#alarm.wait(POLL_MS);
    if (this.#untaken && !this.#delivered) throw this.#untaken;
    return this.#delivered;
  }

  /** One output file, checked against the digest the server signed; throws NotDelivered. */
  async fetch(file: { digest: string; size: number }): Promise<Uint8Array> {
    return this.#sealed?.get(file.digest) ?? (await this.#fetches.file(file));
  }

  /** A blob of unknown size, checked against its digest: the states of a traced job. Throws when the server has it not, or another. */
  fetchWhole(digest: string): Promise<Uint8Array> {
    return this.#fetches.whole(digest);
  }

  /** Gives the order up, wherever it stands by now: nothing is charged from then on. */
  withdraw(reason: string): Promise<Withdrawn> {
    return withdrawOrder(this.#client, { order: this.#bound.order.id, lease: this.lease }, reason);
  }

  /** Lets go; the lease runs on. */
  close(): void {
    this.#closed = true;
    this.#alarm.ring();
    this.#channel?.close();
  }
}
