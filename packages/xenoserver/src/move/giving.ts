/**
 * The end of a move that has the lease: speaks with the server that is to have it, over any pipe to it. Who controls the inputs: the other
 * end; before its offer was checked, whoever answers there.
 */
import { invariant } from "@xenoservers/market";
import { parseDocumentOf, serverIdOf, toHex, utf8, visible, type Envelope } from "@xenoservers/protocol";
import { initiateWith, type Channel } from "@xenoservers/protocol/channel";
import type { Documents, Pipe, Timers } from "@xenoservers/protocol/link";
import type { Handed, HandedOver, Taker } from "../lease/taker.ts";
import type { RunnerWorld } from "../lease/runner-world.ts";
import { handedOverText, handedText, logPartText, parseMoveHeader, parseOfferSaid, type MoveHeader } from "./move-messages.ts";

/** Whoever answers has said its offer and shown its key within that time. */
const ANSWERS_WITHIN_MS = 10_000;
/** An end that takes nothing and says nothing for so long while it is waited for is not there. A guest may stand still meanwhile. */
const SILENT_MS = 30_000;
/** Between two words that this end is still at work. */
const BUSY_MS = 5_000;

const TAKES_NONE =
  "the other server takes no leases now: it is drained (`xeno server drain --undo` there), outside its hours, or not listed yet";

type GivingWorld = Pick<RunnerWorld, "crypto" | "signer" | "owner" | "pins" | "channelKey" | "timers">;

/** The offer that is said at the other end of a pipe. */
function saidOffer(pipe: Pipe): Promise<Envelope> {
  return new Promise((resolve, reject) => {
    pipe.onClose((why) => reject(new Error(why ? visible(why) : "the connection was closed before an offer was said")));
    pipe.onMessage((message) => {
      const said = typeof message === "string" ? parseOfferSaid(message) : null;
      if (said?.offer) return resolve(said.offer);
      reject(new Error(said ? TAKES_NONE : "whoever answers there is no xenoserver that takes leases"));
      pipe.close();
    });
  });
}

/** Its channel key. Throws, in words, where it is not that server, or not of this owner. */
function keyOf({ crypto, owner }: GivingWorld, server: string, offer: Envelope): string {
  const read = parseDocumentOf(crypto, "offer", offer);
  if (!read.ok) throw new Error(`the offer that is said there is not valid (${read.code})`);
  const { keyid, payload } = read.document;
  if (serverIdOf(crypto, keyid) !== server || payload.server !== server) throw new Error(`whoever answers there is not ${server}`);
  if (payload.owner !== owner) throw new Error(`${server} has another owner, and leases move between servers of one`);
  return payload.channelKey;
}

/** Resolves once the two have shown each other their keys. */
export async function openTaker(world: GivingWorld, pipe: Pipe, { server, lease }: { server: string; lease: string }): Promise<Giving> {
  const { timers, channelKey } = world;
  const late = Promise.withResolvers<never>();
  const cancel = timers.after(ANSWERS_WITHIN_MS, () => {
    late.reject(new Error(`whoever answers there has not shown within ${ANSWERS_WITHIN_MS / 1_000} s that it is a xenoserver`));
    pipe.close();
  });
  try {
    const otherKey = keyOf(world, server, await Promise.race([saidOffer(pipe), late.promise]));
    pipe.send(JSON.stringify({ lease, channelKey: toHex(channelKey.publicKey) }));
    const channel = await Promise.race([initiateWith(parseMoveHeader, pipe, channelKey, otherKey, lease), late.promise]);
    return new Giving(server, channel, timers);
  } finally {
    cancel();
  }
}

export class Giving implements Taker {
  readonly server: string;
  readonly #channel: Channel<MoveHeader>;
  readonly #timers: Timers;
  /** What the next answer is for. */
  #asked: PromiseWithResolvers<void> | null = null;
  readonly #over = Promise.withResolvers<never>();
  #why: Error | null = null;
  /** Set while it is waited for. */
  #cancelSilence: (() => void) | null = null;
  #cancelWork: () => void = () => {};

  constructor(server: string, channel: Channel<MoveHeader>, timers: Timers) {
    this.server = server;
    this.#channel = channel;
    this.#timers = timers;
    this.#over.promise.catch(() => {}); // where nobody waits for it
    channel.onMessage((header) => this.#hear(header));
    channel.onUsed(() => this.#heard());
    channel.onClose((why) => this.#end(why));
  }

  get gone(): Promise<never> {
    return this.#over.promise;
  }

  /** It is there, and has time anew. */
  #heard(): void {
    if (this.#cancelSilence) this.#listen();
  }

  #listen(): void {
    this.#cancelSilence?.();
    this.#cancelSilence = this.#timers.after(SILENT_MS, () => this.#end(`the other server has not been heard for ${SILENT_MS / 1_000} s`));
  }

  async #waitFor(work: Promise<void>): Promise<void> {
    this.#listen();
    try {
      await Promise.race([work, this.gone]);
    } finally {
      this.#cancelSilence?.();
      this.#cancelSilence = null;
    }
  }

  #hear(header: MoveHeader): void {
    if (header.t === "busy") this.#heard();
    else if (header.t === "yes") {
      this.#asked?.resolve();
      this.#asked = null;
    } else this.#end(header.t === "no" ? `the other server does not take it: ${visible(header.why)}` : "it says what is no answer");
  }

  #end(why: string): void {
    if (this.#why) return;
    this.#why = new Error(why);
    this.#over.reject(this.#why);
    this.#cancelWork();
    this.#channel.close();
  }

  async #ask(header: MoveHeader, text = ""): Promise<void> {
    invariant(this.#asked === null, "one thing is asked at a time");
    if (this.#why) throw this.#why;
    const asked = (this.#asked = Promise.withResolvers<void>());
    void this.#channel.send(header, utf8(text));
    await this.#waitFor(asked.promise);
  }

  async ask(handed: Handed): Promise<void> {
    await this.#ask({ t: "lease" }, handedText(handed));
    // the broker may take its time to show its log
    this.#work();
  }

  async tell(documents: Documents): Promise<void> {
    if (this.#why) throw this.#why;
    await this.#waitFor(this.#channel.send({ t: "log" }, utf8(logPartText(documents))));
  }

  admitted(): Promise<void> {
    return this.#ask({ t: "logged" });
  }

  /** While a guest is saved, or a disk is read that has nothing new, nothing is sent. */
  #work(): void {
    this.#cancelWork();
    this.#cancelWork = this.#timers.after(BUSY_MS, () => {
      void this.#channel.send({ t: "busy" });
      this.#work();
    });
  }

  async send(name: string, bytes: Uint8Array): Promise<void> {
    if (this.#why) throw this.#why;
    await this.#waitFor(this.#channel.send({ t: "file", name }, bytes));
  }

  restored(): Promise<void> {
    this.#cancelWork();
    return this.#ask({ t: "carried" });
  }

  handOver(handed: HandedOver): Promise<void> {
    return this.#ask({ t: "handover" }, handedOverText(handed));
  }

  close(): void {
    this.#cancelWork();
    this.#channel.close();
  }
}
