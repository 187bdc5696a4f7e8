/**
 * The end of a move that has the lease: speaks with the server that is to have it, over any pipe to it. Who controls the inputs: the other
 * end; before its offer was checked, whoever answers there.
 */
import { invariant } from "@xenoservers/market";
import { parseDocumentOf, serverIdOf, toHex, utf8, visible, type Envelope, type Receipt } from "@xenoservers/protocol";
import { initiateWith, type Channel } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import type { Handed, Taker } from "../lease/handing-over.ts";
import type { RunnerWorld } from "../lease/runner-world.ts";
import { handedOverText, handedText, parseMoveHeader, parseOfferSaid, type MoveHeader } from "./move-messages.ts";

/** Whoever answers first says its offer, within that time. */
const OFFER_WITHIN_MS = 10_000;

type GivingWorld = Pick<RunnerWorld, "crypto" | "signer" | "owner" | "pins" | "channelKey" | "timers">;

/** The offer that is said at the other end of a pipe. */
function saidOffer({ timers }: GivingWorld, pipe: Pipe): Promise<Envelope> {
  return new Promise((resolve, reject) => {
    const late = timers.after(OFFER_WITHIN_MS, () => {
      reject(new Error("whoever answers there does not say its offer"));
      pipe.close();
    });
    pipe.onClose((why) => {
      late();
      reject(new Error(why ? visible(why) : "the connection was closed before an offer was said"));
    });
    pipe.onMessage((message) => {
      late();
      const offer = typeof message === "string" ? parseOfferSaid(message) : null;
      if (offer) return resolve(offer);
      reject(new Error("whoever answers there is no xenoserver that takes leases"));
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
  const otherKey = keyOf(world, server, await saidOffer(world, pipe));
  pipe.send(JSON.stringify({ lease, channelKey: toHex(world.channelKey.publicKey) }));
  return new Giving(server, await initiateWith(parseMoveHeader, pipe, world.channelKey, otherKey, lease));
}

export class Giving implements Taker {
  readonly server: string;
  readonly #channel: Channel<MoveHeader>;
  /** What the next answer is for. */
  #asked: PromiseWithResolvers<void> | null = null;
  #over: Error | null = null;

  constructor(server: string, channel: Channel<MoveHeader>) {
    this.server = server;
    this.#channel = channel;
    channel.onMessage((header) => this.#hear(header));
    channel.onClose((why) => this.#end(why));
  }

  #hear(header: MoveHeader): void {
    if (header.t === "yes") {
      this.#asked?.resolve();
      this.#asked = null;
    } else this.#end(header.t === "no" ? `the other server does not take it: ${visible(header.why)}` : "it says what is no answer");
  }

  #end(why: string): void {
    this.#over ??= new Error(why);
    this.#asked?.reject(this.#over);
    this.#asked = null;
    this.#channel.close();
  }

  async #ask(header: MoveHeader, text = ""): Promise<void> {
    invariant(this.#asked === null, "one thing is asked at a time");
    if (this.#over) throw this.#over;
    const asked = (this.#asked = Promise.withResolvers<void>());
    asked.promise.catch(() => {}); // waited for below
    await this.#channel.send(header, utf8(text));
    await asked.promise;
  }

  ask(handed: Handed): Promise<void> {
    return this.#ask({ t: "lease" }, handedText(handed));
  }

  async send(name: string, bytes: Uint8Array): Promise<void> {
    if (this.#over) throw this.#over;
    await this.#channel.send({ t: "file", name }, bytes);
  }

  restored(): Promise<void> {
    return this.#ask({ t: "carried" });
  }

  handOver(handover: Envelope, receipt: Receipt): Promise<void> {
    return this.#ask({ t: "handover" }, handedOverText(handover, receipt));
  }

  close(): void {
    this.#channel.close();
  }
}
