/**
 * The end of a move that is to have the lease: one lease for each pipe, step by step; whatever comes out of turn ends it. Until the
 * takeover is signed, nothing of it outlives the pipe. Who controls the inputs: whoever connects; after its lease was admitted, the server
 * that has it.
 */
import { visible, type Envelope } from "@xenoservers/protocol";
import { respondWith, type Channel } from "@xenoservers/protocol/channel";
import type { Documents, Pipe } from "@xenoservers/protocol/link";
import type { Arriving } from "../drivers/driver.ts";
import { isFull } from "../lease/arriving-blob.ts";
import type { Handed, HandedOver } from "../lease/taker.ts";
import type { RunnerWorld } from "../lease/runner-world.ts";
import {
  LOG_DOCUMENTS_MAX,
  LOG_PART_BYTES_MAX,
  PIECE_BYTES_MAX,
  WHY_MAX,
  parseHanded,
  parseHandedOver,
  parseLeaseSaid,
  parseLogPart,
  parseMoveHeader,
  type LeaseSaid,
  type MoveHeader,
} from "./move-messages.ts";

/** A lease of this owner's that the server at which it is begins to hand over: its log comes. */
export interface Learning {
  /** The next of its log, in order. Throws, in words, where that does not follow. */
  learn(documents: Documents): void;
  /** All of it has come. Throws, in words, where the lease is not taken. */
  admit(): Promise<Coming>;
  /** Whoever hands it over and says nothing for so long has lost it anyway. */
  readonly graceMs: number;
}

/** A lease that is held here, and is not here yet. */
export interface Coming extends Omit<Learning, "admit"> {
  arrive(): Promise<Arriving>;
  /** What has come stands here, still. */
  restore(): Promise<void>;
  /** From then on it goes on by itself, whatever becomes of the pipe. */
  take(handed: HandedOver): Promise<void>;
  /** It does not come; of no consequence once it was taken. */
  letGo(why: string): Promise<void>;
}

interface TakingHost extends Pick<RunnerWorld, "channelKey" | "channelMemory" | "timers" | "log"> {
  /** As it is listed now; null where this server takes no leases. */
  offer(): Envelope | null;
  /** Whoever hands a lease over is counted from now on; false where as many do already. */
  known(): boolean;
  /** Throws, in words, where it is no lease of this owner's, or comes from elsewhere. `channelKey`: of whoever hands it over. */
  begin(lease: string, channelKey: string, handed: Handed): Learning;
}

/** Whoever connects has said whose lease it has within that time. */
const BEGUN_WITHIN_MS = 30_000;

const GONE = "whoever hands it over has gone";

/** Whoever is told no closes by itself. */
const CLOSES_WITHIN_MS = 10_000;

/** Between two words that it is still at work. */
const BUSY_MS = 5_000;

function wordsOf(error: unknown): string {
  if (isFull(error)) return "its disk is full";
  return error instanceof Error ? error.message : String(error);
}

/** Speaks with whoever has connected. */
export function answerGiving(host: TakingHost, pipe: Pipe): void {
  const offer = host.offer();
  pipe.send(JSON.stringify({ offer }));
  if (!offer) return pipe.close();
  const late = host.timers.after(BEGUN_WITHIN_MS, () => pipe.close());
  pipe.onClose(late);
  pipe.onMessage((message) => {
    const said = typeof message === "string" ? parseLeaseSaid(message) : null;
    if (!said) return pipe.close();
    const ready = (channel: Channel<MoveHeader>): void => void new Taking(host, said, channel, late);
    const { channelKey: own, channelMemory: memory } = host;
    respondWith(parseMoveHeader, pipe, { own, otherKey: said.channelKey, lease: said.lease, ready, memory });
  });
}

type Step = "lease" | "log" | "files" | "handover" | "over";

class Taking {
  readonly #host: TakingHost;
  readonly #said: LeaseSaid;
  readonly #channel: Channel<MoveHeader>;
  #step: Step = "lease";
  #learning: Learning | null = null;
  /** Of its log, so many documents have come. */
  #logged = 0;
  #coming: Coming | null = null;
  #arriving: Arriving | null = null;
  readonly #begun: () => void;
  #idle: () => void = () => {};

  constructor(host: TakingHost, said: LeaseSaid, channel: Channel<MoveHeader>, begun: () => void) {
    this.#begun = begun;
    this.#host = host;
    this.#said = said;
    this.#channel = channel;
    channel.onMessage((header, body) => this.#hear(header, body));
    channel.onClose((why) => {
      begun();
      void this.#end(why);
    });
  }

  get #isOver(): boolean {
    return this.#step === "over";
  }

  async #hear(header: MoveHeader, body: Uint8Array): Promise<void> {
    if (this.#isOver) return;
    this.#idle();
    const work = this.#busy();
    try {
      await this.#take(header, body);
    } catch (error) {
      const why = visible(wordsOf(error)).slice(0, WHY_MAX);
      await this.#end(why);
      await this.#channel.send({ t: "no", why });
      this.#host.timers.after(CLOSES_WITHIN_MS, () => this.#channel.close());
    } finally {
      work();
      this.#await();
    }
  }

  /** Says that it is still at work, until the function that comes back is called. */
  #busy(): () => void {
    const { timers } = this.#host;
    let cancel = (): void => {};
    const again = (): void => {
      cancel = timers.after(BUSY_MS, () => {
        void this.#channel.send({ t: "busy" });
        again();
      });
    };
    again();
    return () => cancel();
  }

  /** Whoever says nothing more has not gone, and never comes. */
  #await(): void {
    const { graceMs } = this.#coming ?? this.#learning ?? {};
    if (graceMs !== undefined) this.#idle = this.#host.timers.after(graceMs, () => this.#channel.close());
  }

  async #take(header: MoveHeader, body: Uint8Array): Promise<void> {
    // it is at work, and has been heard by that
    if (header.t === "busy" && (this.#step === "log" || this.#step === "files")) return;
    if (header.t === "lease" && this.#step === "lease") this.#begin(body);
    else if (header.t === "log" && (this.#step === "log" || this.#step === "handover")) return this.#learn(body);
    else if (header.t === "logged" && this.#step === "log") await this.#admit();
    else if (header.t === "file" && this.#step === "files") return this.#file(header.name, body);
    else if (header.t === "carried" && this.#step === "files") await this.#restore();
    else if (header.t === "handover" && this.#step === "handover") await this.#handedOver(body);
    else throw new Error(`a ${header.t} is out of turn`);
    await this.#channel.send({ t: "yes" });
  }

  #begin(body: Uint8Array): void {
    const handed = parseHanded(body);
    if (!handed) throw new Error("the lease cannot be read: both servers must run the same version of xeno");
    const learning = this.#host.begin(this.#said.lease, this.#said.channelKey, handed);
    if (!this.#host.known()) throw new Error("it takes as many leases at once as it can: drain once more in a few minutes");
    this.#learning = learning;
    this.#begun();
    this.#step = "log";
  }

  #learn(body: Uint8Array): void {
    const part = body.length > LOG_PART_BYTES_MAX ? null : parseLogPart(body);
    if (!part) throw new Error("a part of its log cannot be read");
    this.#logged += part.filed.length + part.grants.length;
    if (this.#logged > LOG_DOCUMENTS_MAX) throw new Error(`its log has more than ${LOG_DOCUMENTS_MAX} documents`);
    (this.#coming ?? this.#learning)?.learn(part);
  }

  async #admit(): Promise<void> {
    const coming = await this.#learning?.admit();
    this.#learning = null;
    if (!coming) return;
    if (this.#isOver) return coming.letGo(GONE);
    this.#coming = coming;
    const arriving = await coming.arrive();
    if (this.#isOver) return arriving.discard();
    this.#arriving = arriving;
    this.#step = "files";
  }

  async #file(name: string, bytes: Uint8Array): Promise<void> {
    if (bytes.length > PIECE_BYTES_MAX) throw new Error("a piece is too long");
    await this.#arriving?.add(name, bytes);
  }

  async #restore(): Promise<void> {
    const arrived = this.#arriving;
    this.#arriving = null;
    if (arrived) await this.#coming?.restore();
    if (!this.#isOver) this.#step = "handover";
  }

  async #handedOver(body: Uint8Array): Promise<void> {
    const handed = parseHandedOver(body);
    if (!handed) throw new Error("what was handed over cannot be read");
    await this.#coming?.take(handed);
    this.#step = "over";
  }

  async #end(why: string): Promise<void> {
    this.#idle();
    const [coming, arriving] = [this.#coming, this.#arriving];
    [this.#step, this.#learning, this.#coming, this.#arriving] = ["over", null, null, null];
    try {
      await arriving?.discard();
      await coming?.letGo(why);
    } catch (error) {
      this.#host.log("what came of a lease could not be removed", { lease: this.#said.lease, why: wordsOf(error) });
    }
  }
}
