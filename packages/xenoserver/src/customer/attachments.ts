/**
 * The channels of one lease: takes the job's bytes, sends output as it comes and how the guest ended, hands out files and states. Who controls the
 * inputs: the customer, every message.
 */
import { respondChannel, type Channel, type ChannelHeader, type ChannelKeyPair } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import type { RunningGuest } from "../drivers/driver.ts";
import { Follower } from "./follower.ts";
import type { LeaseRecord } from "../lease/journal.ts";
import type { Transfer, TransferFailure } from "./transfer.ts";
import { VmRequests, isVmHeader, type VmRequestsHost } from "./vm-requests.ts";

export type VmJobHeader = Extract<ChannelHeader, { t: "vm" }>;
export type JobHeader = Extract<ChannelHeader, { t: "job" }>;

export interface AttachmentsHost {
  lease: string;
  channelKey: ChannelKeyPair;
  customerKey: string;
  guest(): RunningGuest | null;
  result(): LeaseRecord["result"];
  state(): { state: "waiting" | "preparing" | "running" | "ended"; usedMs: number };
  /** Whether the customer may see what the guest wrote. */
  isShown(): boolean;
  /** Begins to fetch the job's bytes; null where nothing is to be fetched any more; in words, what is wrong with it. */
  takeJob(header: JobHeader | VmJobHeader, channel: Channel): Promise<{ transfer: Transfer } | { problem: string } | null>;
  requests: VmRequestsHost;
  /** Every byte of the job is here. */
  jobIsHere(): Promise<void>;
  /** The server's own disk does not take the job. */
  cannotTake(why: string): Promise<void>;
  /** A part of an output file or of a state; null where there is no such thing. */
  read(digest: string, offset: number, length: number): Promise<Uint8Array | null>;
}

interface Attached {
  channel: Channel;
  follower: Follower | null;
  transfer: Transfer | null;
  from: { stdout: number; stderr: number };
  endedSent: boolean;
  requests: VmRequests;
}

const WHY_MAX = 400;

export class Attachments {
  readonly #host: AttachmentsHost;
  readonly #attached = new Set<Attached>();

  constructor(host: AttachmentsHost) {
    this.#host = host;
  }

  attach(pipe: Pipe): void {
    const { channelKey, customerKey, lease } = this.#host;
    respondChannel(pipe, channelKey, customerKey, lease, (channel) => {
      const attached: Attached = {
        channel,
        follower: null,
        transfer: null,
        from: { stdout: 0, stderr: 0 },
        endedSent: false,
        requests: new VmRequests(channel, this.#host.requests),
      };
      let turn = Promise.resolve();
      this.#attached.add(attached);
      channel.onClose(() => {
        attached.requests.close();
        this.#attached.delete(attached);
      });
      channel.onMessage((header, body) => {
        turn = turn.then(() => this.#receive(attached, header, body)).catch((error: unknown) => this.#failed(attached, error));
      });
      channel.send({ t: "state", ...this.#host.state() });
    });
  }

  sendState(): void {
    for (const { channel } of this.#attached) channel.send({ t: "state", ...this.#host.state() });
  }

  /** Sends what is new on every channel. */
  pump(): void {
    for (const attached of this.#attached) this.#pump(attached).catch((error: unknown) => this.#failed(attached, error));
  }

  close(): void {
    for (const { channel } of this.#attached) channel.close();
  }

  #problem({ channel }: Attached, code: string, why: string): void {
    channel.send({ t: "problem", code, why: why.slice(0, WHY_MAX) });
  }

  #failed(attached: Attached, error: unknown): void {
    this.#problem(attached, "internal", String((error as Error).message));
  }

  async #receive(attached: Attached, header: ChannelHeader, body: Uint8Array): Promise<void> {
    const { channel } = attached;
    if (isVmHeader(header)) return attached.requests.receive(header, body);
    switch (header.t) {
      case "job":
      case "vm":
        return this.#receiveJob(attached, header);
      case "part":
        return attached.transfer?.receive(header.digest, header.offset, body);
      case "attach":
        attached.from = { stdout: header.stdout, stderr: header.stderr };
        attached.follower = null;
        return this.#pump(attached);
      case "seen":
        attached.follower?.seen(header);
        return this.#pump(attached);
      case "want": {
        const { digest, offset, length } = header;
        const part = await this.#host.read(digest, offset, length);
        return part === null ? this.#problem(attached, "not_found", "no such output") : channel.send({ t: "part", digest, offset }, part);
      }
      default:
        return this.#problem(attached, "bad_request", `a ${header.t} message makes no sense here`);
    }
  }

  async #receiveJob(attached: Attached, header: JobHeader | VmJobHeader): Promise<void> {
    const taken = await this.#host.takeJob(header, attached.channel);
    if (taken === null) return this.#pump(attached);
    if ("problem" in taken) return this.#problem(attached, "result_mismatch", taken.problem);
    attached.transfer = taken.transfer;
    taken.transfer.finished
      .then((failure) => (failure === null ? this.#host.jobIsHere() : this.#notBrought(attached, failure)))
      .catch((error: unknown) => this.#failed(attached, error));
    await taken.transfer.start();
  }

  async #notBrought(attached: Attached, { by, why }: TransferFailure): Promise<void> {
    this.#problem(attached, by === "host" ? "internal" : "result_mismatch", why);
    if (by === "host") await this.#host.cannotTake(why);
  }

  /** Sends what is new on one channel and, when all of it was sent, how the guest ended. */
  async #pump(attached: Attached): Promise<void> {
    if (!this.#host.isShown()) return;
    const guest = this.#host.guest();
    if (!attached.follower && guest) attached.follower = new Follower(attached.channel, guest, attached.from);
    await attached.follower?.pump();
    const result = this.#host.result();
    if (!result || attached.endedSent) return;
    if (attached.follower && !attached.follower.hasSent({ stdout: result.stdoutSize, stderr: result.stderrSize })) return;
    attached.endedSent = true;
    attached.channel.send({ t: "ended", result: result.envelope, tree: result.tree, stdoutSize: result.stdoutSize, stderrSize: result.stderrSize });
  }
}
