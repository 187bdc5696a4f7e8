/**
 * The channels of one lease: takes the job's bytes, sends output as it comes and how the guest ended, hands out files and states. Who
 * controls the inputs: the customer, every message.
 */
import {
  Turns,
  WANTS_UNDER_WAY_MAX,
  respondChannel,
  type Channel,
  type ChannelHeader,
  type ChannelKeyPair,
} from "@xenoservers/protocol/channel";
import { letGoOfAll, type Envelope } from "@xenoservers/protocol";
import type { MemoryShare, Pipe } from "@xenoservers/protocol/link";
import type { RunningGuest } from "../drivers/driver.ts";
import { bringsWork, type WorkHeader } from "../drivers/work.ts";
import type { Taken } from "../lease/job-intake.ts";
import type { SignedResult } from "../lease/journal.ts";
import { Follower } from "./follower.ts";
import { TunnelRoom } from "./tunnel-room.ts";
import type { Transfer, TransferFailure } from "./transfer.ts";
import { VmRequests, isVmHeader, type VmRequestsHost } from "./vm-requests.ts";

export interface AttachmentsHost {
  lease: string;
  channelKey: ChannelKeyPair;
  customerKey: string;
  /** What waits in the channels of all leases counts here. */
  memory: MemoryShare;
  guest(): RunningGuest | null;
  result(): SignedResult | null;
  state(): { state: "waiting" | "preparing" | "running" | "ended"; usedMs: number };
  /** Whether the customer may see what the guest wrote. */
  isShown(): boolean;
  /** Why the guest stands still at this server's fault, in words; null where it does not. */
  standsStill(): string | null;
  /** Begins to fetch the work's bytes; null where nothing is to be fetched any more; in words, what is wrong with it. */
  takeJob(header: WorkHeader, channel: Channel): Promise<Taken>;
  /** A transfer is over: null when every byte is here, else what is wrong with them. */
  jobCame(transfer: Transfer, failure: TransferFailure | null): Promise<void>;
  /** A job came that cannot be read. */
  unreadable(why: string): void;
  requests: VmRequestsHost;
  /** The customer has said something: it is there, and takes what it is sent. */
  progress(): void;
  /** Its word that the result's bytes came; what is wrong with that, or null. */
  delivered(word: Envelope): Promise<string | null>;
  /** A part of an output file or of a state; null where there is no such thing. */
  read(digest: string, offset: number, length: number): Promise<Uint8Array | null>;
}

interface Attached {
  channel: Channel;
  follower: Follower | null;
  transfer: Transfer | null;
  /** Its job's bytes come through it. */
  isBringing: boolean;
  from: { stdout: number; stderr: number };
  hasAttached: boolean;
  /** Whether all that there was when it attached was sent, and said to be all. */
  isAnswered: boolean;
  endedSent: boolean;
  isPumping: boolean;
  /** Something came since the last look. */
  hasNews: boolean;
  requests: VmRequests;
  /** Parts that were asked for. */
  answers: Turns;
}

/** Of one lease: each may have a window of bytes under way. */
export const CHANNELS_MAX = 32;
const WHY_MAX = 400;
const STANDS_STILL = "stands-still";

export class Attachments {
  readonly #host: AttachmentsHost;
  readonly #attached = new Set<Attached>();
  readonly #tunnels = new TunnelRoom();

  constructor(host: AttachmentsHost) {
    this.#host = host;
  }

  get count(): number {
    return this.#attached.size;
  }

  attach(pipe: Pipe): void {
    const { channelKey, customerKey, lease, memory } = this.#host;
    const ready = (channel: Channel): void => {
      // it comes again until there is room; what is lost is found out by the links' beats
      if (this.#attached.size >= CHANNELS_MAX && !this.#makeRoom()) return channel.close();
      const attached: Attached = {
        channel,
        follower: null,
        transfer: null,
        isBringing: false,
        from: { stdout: 0, stderr: 0 },
        hasAttached: false,
        isAnswered: true,
        endedSent: false,
        isPumping: false,
        hasNews: false,
        requests: new VmRequests(channel, this.#host.requests, this.#tunnels),
        answers: new Turns(WANTS_UNDER_WAY_MAX),
      };
      this.#attached.add(attached);
      channel.onClose(() => {
        attached.requests.close();
        attached.follower?.stop();
        void attached.transfer?.abandon();
        this.#attached.delete(attached);
      });
      channel.onUsed(() => this.#host.progress());
      channel.onMessage((header, body) => this.#receive(attached, header, body).catch((error: unknown) => this.#failed(attached, error)));
      this.#sayState(channel);
      const why = this.#host.standsStill();
      if (why !== null) void channel.send({ t: "problem", code: STANDS_STILL, why });
    };
    respondChannel(pipe, channelKey, customerKey, lease, ready, memory);
  }

  /** The oldest goes that only looks on: it comes again and misses nothing. False: each has something under way, or is about to ask. */
  #makeRoom(): boolean {
    const idle = [...this.#attached].filter(({ requests, isBringing }) => !isBringing && !requests.isInUse);
    const one = idle.find(({ requests }) => !requests.asksAgain) ?? idle.findLast(({ requests }) => requests.isJustRefused);
    one?.channel.close();
    return one !== undefined;
  }

  /** What its customer should know of the guest, whoever is attached. */
  say(why: string): void {
    for (const { channel } of this.#attached) void channel.send({ t: "problem", code: STANDS_STILL, why });
  }

  sendState(): void {
    this.sayStates();
    this.#host.requests.guest()?.controls?.stdin?.onTaken(() => this.#sayTaken());
    this.#sayTaken();
  }

  /** Where it stands, whoever is attached. */
  sayStates(): void {
    for (const { channel } of this.#attached) this.#sayState(channel);
  }

  #sayState(channel: Channel): void {
    const { state, usedMs } = this.#host.state();
    void channel.send({ t: "state", state, usedMs });
    if (state === "running" && this.#host.requests.isPaused()) void channel.send({ t: "state", state: "paused", usedMs });
  }

  #sayTaken(): void {
    for (const { hasAttached, requests } of this.#attached) if (hasAttached) void requests.sayTaken();
  }

  /** Sends what is new on every channel. */
  pump(): void {
    for (const attached of this.#attached) this.#pumpOne(attached);
  }

  /** Nobody waits for it: its customer may take nothing of what it is sent for a long time. */
  #pumpOne(attached: Attached): void {
    attached.hasNews = true;
    if (!attached.isPumping) void this.#pumpAll(attached);
  }

  async #pumpAll(attached: Attached): Promise<void> {
    attached.isPumping = true;
    while (attached.hasNews) {
      attached.hasNews = false;
      await this.#pump(attached).catch((error: unknown) => this.#failed(attached, error));
    }
    attached.isPumping = false;
  }

  close(): void {
    for (const { channel } of this.#attached) channel.close();
  }

  #problem({ channel }: Attached, code: string, why: string): void {
    void channel.send({ t: "problem", code, why: why.slice(0, WHY_MAX) });
  }

  #failed(attached: Attached, error: unknown): void {
    this.#problem(attached, "internal", error instanceof Error ? error.message : String(error));
  }

  async #receive(attached: Attached, header: ChannelHeader, body: Uint8Array): Promise<void> {
    this.#host.progress();
    if (isVmHeader(header)) return attached.requests.receive(header, body);
    if (bringsWork(header)) return this.#receiveJob(attached, header);
    switch (header.t) {
      case "unreadable":
        this.#host.unreadable(header.why);
        return this.#problem(attached, "bad_request", header.why);
      case "part":
        // what was asked for has its place already: the next may come while it is written
        void attached.transfer?.receive(header.digest, header.offset, body).then(() => letGoOfAll(body));
        return;
      case "attach":
        if (attached.hasAttached) return this.#problem(attached, "bad_request", "this channel follows the output already: open another");
        attached.hasAttached = true;
        attached.from = { stdout: header.stdout, stderr: header.stderr };
        attached.follower?.stop();
        attached.follower = null;
        attached.isAnswered = false;
        void attached.requests.sayTaken();
        return this.#pumpOne(attached);
      case "want":
        return attached.answers.add(() => this.#answer(attached, header).catch((error: unknown) => this.#failed(attached, error)));
      case "delivered": {
        const problem = await this.#host.delivered(header.delivery);
        return problem === null ? undefined : this.#problem(attached, "result_mismatch", problem);
      }
      default:
        return this.#problem(attached, "bad_request", `a ${header.t} message makes no sense here`);
    }
  }

  /** One part at a time is read, and the next when the channel has handed it over. */
  async #answer(attached: Attached, { digest, offset, length }: Extract<ChannelHeader, { t: "want" }>): Promise<void> {
    const part = await this.#host.read(digest, offset, length);
    if (part === null) this.#problem(attached, "not_found", "no such output");
    else await attached.channel.send({ t: "part", digest, offset }, part);
  }

  async #receiveJob(attached: Attached, header: WorkHeader): Promise<void> {
    const taken = await this.#host.takeJob(header, attached.channel);
    if (taken === null) return this.#pumpOne(attached);
    if ("problem" in taken) return this.#problem(attached, "result_mismatch", taken.problem);
    const { transfer } = taken;
    attached.transfer = transfer;
    attached.isBringing = true;
    transfer.finished
      .finally(() => (attached.isBringing = false))
      .then(async (failure) => {
        if (failure !== null) this.#problem(attached, failure.by === "host" ? "internal" : "result_mismatch", failure.why);
        await this.#host.jobCame(transfer, failure);
      })
      .catch((error: unknown) => this.#failed(attached, error));
    await transfer.start();
  }

  /** Sends what is new on one channel and, when all of it was sent, how the guest ended. */
  async #pump(attached: Attached): Promise<void> {
    const isShown = this.#host.isShown();
    if (isShown && !(await this.#show(attached))) return;
    // a daemon that has just started may not have found its guest yet
    const isBehind = attached.follower ? !attached.follower.isAhead : isShown && this.#host.state().state === "running";
    if (attached.isAnswered || isBehind) return;
    attached.isAnswered = true;
    void attached.channel.send({ t: "shown" });
  }

  /** False: it attached meanwhile, and is shown all of it by the next look. */
  async #show(attached: Attached): Promise<boolean> {
    const guest = this.#host.guest();
    if (!attached.follower && guest) attached.follower = new Follower(attached.channel, guest, attached.from);
    const { follower } = attached;
    await follower?.pump();
    if (attached.follower !== follower) return false;
    const result = this.#host.result();
    if (!result || attached.endedSent) return true;
    if (follower && !follower.hasSent({ stdout: result.stdoutSize, stderr: result.stderrSize })) return true;
    attached.endedSent = true;
    void attached.channel.send({
      t: "ended",
      result: result.envelope,
      tree: result.tree,
      stdoutSize: result.stdoutSize,
      stderrSize: result.stderrSize,
    });
    return true;
  }
}
