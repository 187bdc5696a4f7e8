/**
 * Stops of this program's leases, and withdrawals of its orders that wait, signed ahead and left with the broker, which files them once
 * this program is gone, however it went. They are said on a link of their own, anew whenever it is up, and taken back as leases end.
 * Where the broker knows nothing of wills there are none. Who controls the inputs: the broker (what it knows, answers, events).
 */
import { Addresses, ERROR_CODES, parseRefusal, type Envelope } from "@xenoservers/protocol";
import { CLOSINGS, parseMessage, zFromBroker, type LinkClient, type LinkEvent, type Pipe, type ToBroker } from "@xenoservers/protocol/link";
import { ask } from "@xenoservers/protocol/system";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { LINK_WORDS_PATH, zLinkWords } from "@xenoservers/protocol/will";
import * as z from "zod/mini";
import type { Filed, MarketClient } from "../client.ts";
import { openLink } from "../connect.ts";
import type { Beyond } from "../facade/beyond.ts";
import type { MapMeans } from "../facade/map/market-orders.ts";
import { BrokenPurchaseOrder, checkBound, fetchBound, type BoundOrder } from "../purchase-order.ts";

const REASON = "its customer was gone";
const ANSWER_MS = 10_000;
/** Told to let everything run on, it waits so long for the broker's word that it does. */
const RELEASE_MS = 5_000;
const AGAIN_MS = 1_000;
/** Most orders that wait are bound sooner: many jobs in a row would say as many wills and take them back. */
const WAITS_MS = 1_000;
/** A broker hears so many at once of one party that it answers none of them with a refusal. */
const ASKED_MAX = 16;
/** Behind one address there may be brokers that know no wills beside one that does: a link may be cut for one so often in a row. */
const CUT_MAX = 3;

/** Of an order that waits there is neither yet. */
const zOrderAnswer = z.looseObject({
  purchaseOrder: z.optional(z.unknown()),
  grants: z._default(z.array(z.unknown()), []),
  replicas: z.optional(z.array(z.looseObject({ purchaseOrder: z.unknown() }))),
});

/** After these nothing is left of a lease that a stop could end. */
const OVER: ReadonlySet<string> = new Set(["lease-stopping", "lease-delivering", "lease-lapsed", "lease-settled"]);

/** What an earlier call of a map left to be stopped is this program's once this call follows it. */
export const alsoOfEarlier = (beyond: Beyond, wills: Pick<LastWills, "holds">): Beyond => ({
  ...beyond,
  map(means, inputs, each, options) {
    const adopting = (): MapMeans => {
      const { bound, ...others } = means();
      const followed = async (lease: string): Promise<BoundOrder> => {
        const found = await bound(lease);
        wills.holds(found.po.id);
        return found;
      };
      return { ...others, bound: followed };
    };
    return beyond.map(adopting, inputs, each, options);
  },
});

class NoWillsThere extends Error {}

/** Null: what the broker wants it to run under is not what was ordered, and whoever ordered it says so. */
function boundBy(check: () => BoundOrder): string | null {
  try {
    return check().po.id;
  } catch {
    return null;
  }
}

/** What is to be said of a lease, or of an order that waits; null: its will is taken back. `key`: who signed. */
type Word = { kind: "stop" | "order-withdrawal"; envelope: Envelope; key: string } | null;

export class LastWills {
  readonly #client: MarketClient;
  readonly #addresses: Addresses;
  readonly #told: MarketClient["onFiled"];
  readonly #words = new Map<string, Word>();
  /** What each order came to last; null: it waits. */
  readonly #orders = new Map<string, string | null>();
  readonly #toSay = new Set<string>();
  readonly #asked = new Map<number, string>();
  #link: LinkClient | null = null;
  #pipe: Pipe | null = null;
  #key = "";
  #ref = 0;
  #cuts = 0;
  #isOver = false;
  #idle: () => void = () => {};

  private constructor(client: MarketClient) {
    this.#client = client;
    this.#addresses = new Addresses(client.url);
    this.#told = client.onFiled;
    client.onFiled = this.#heard;
  }

  /** Of all that this client orders from now on, and that comes of it. */
  static of(client: MarketClient): LastWills {
    return new LastWills(client);
  }

  /** It has been left, or there is nobody who would keep one. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Is stopped once this program is gone. */
  holds(lease: string): void {
    if (!this.#isOver && !this.#words.has(lease)) this.#says(lease, "stop");
  }

  #says(id: string, kind: NonNullable<Word>["kind"]): void {
    this.#words.set(id, this.#signed(id, kind));
    this.#toSay.add(id);
    this.#open();
    this.#say();
  }

  /** A lease has ended, or runs on without this program; an order waits no more. */
  over(id: string): void {
    if (!this.#words.get(id)) return;
    this.#words.set(id, null);
    this.#toSay.add(id);
    this.#say();
  }

  /** All of it runs on; resolves to whether the broker has taken that in time. */
  async release(): Promise<boolean> {
    if (this.#isOver) return true;
    this.#orders.clear();
    for (const id of this.#words.keys()) this.over(id);
    this.#restIfIdle();
    if (this.#link) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#idle = resolve;
      const late = this.#client.timers.after(RELEASE_MS, resolve);
      await promise;
      late();
    }
    this.leave();
    return this.#words.size === 0;
  }

  /** This program goes: what is left of its leases is stopped when the broker has missed it for a while. */
  leave(): void {
    this.#isOver = true;
    if (this.#client.onFiled === this.#heard) this.#client.onFiled = this.#told;
    this.#stop();
  }

  #signed(id: string, kind: NonNullable<Word>["kind"]): NonNullable<Word> {
    const { party, signer } = this.#client.identity;
    const said = { party, reason: REASON };
    const { envelope } =
      kind === "stop" ? this.#client.sign(kind, { ...said, lease: id }) : this.#client.sign(kind, { ...said, order: id });
    return { kind, envelope, key: signer.publicKey };
  }

  readonly #heard = (filed: Filed): void => {
    this.#told(filed);
    const { document, answer } = filed;
    if (this.#isOver) return;
    if (document.kind === "stop") return this.over(document.payload.lease);
    if (document.kind === "order-withdrawal") return this.#forget(document.payload.order);
    // a referee's run is somebody's right, whoever asked for it
    if (document.kind !== "order" || document.payload.judges !== null) return;
    const { purchaseOrder, grants = [], replicas } = zOrderAnswer.safeParse(answer).data ?? {};
    const slots = replicas?.map((each) => each.purchaseOrder) ?? (purchaseOrder ? [purchaseOrder] : []);
    if (slots.length === 0) return this.#waits(document.id);
    for (const slot of slots) {
      const lease = boundBy(() => checkBound(this.#client, document, slot, grants, filed.at));
      if (lease !== null) this.#placed(document.id, lease);
    }
  };

  /** Named by the broker alone, it could be another lease of this customer's, whose stop would be signed. */
  async #named(order: string, lease: string): Promise<void> {
    try {
      await fetchBound(this.#client, lease, order);
    } catch (error) {
      if (!(error instanceof BrokenPurchaseOrder)) this.#client.timers.after(AGAIN_MS, () => void this.#lookAt(order));
      return;
    }
    if (this.#orders.has(order) && !this.#isOver) this.#placed(order, lease);
  }

  #forget(order: string): void {
    if (!this.#orders.delete(order)) return;
    this.over(order);
    this.#restIfIdle();
  }

  #placed(order: string, lease: string): void {
    this.#orders.set(order, lease);
    this.over(order);
    this.holds(lease);
  }

  #waits(order: string): void {
    this.#orders.set(order, null);
    this.#open();
    this.#client.timers.after(WAITS_MS, () => {
      // also where the will of an earlier wait is being taken back
      if (this.#orders.get(order) === null && !this.#words.get(order) && !this.#isOver) this.#says(order, "order-withdrawal");
    });
  }

  #open(): void {
    if (this.#isOver) return;
    this.#link ??= openLink(
      this.#client,
      {
        onUp: () => this.#up(),
        onDown: (why) => this.#down(why),
        onEvent: (event) => this.#event(event),
        onRefused: () => this.#refused(),
      },
      () => this.#connect(),
    );
  }

  #stop(): void {
    this.#link?.stop();
    this.#link = null;
    this.#pipe = null;
    this.#asked.clear();
    this.#idle();
  }

  /** Each broker is asked before it is linked: one that knows no wills would cut the link. */
  async #connect(): Promise<Pipe> {
    let isUnreached = false;
    this.#key = this.#client.identity.signer.publicKey;
    try {
      return await this.#addresses.first(async (address) => {
        await this.#askWhether(address).catch((error: unknown) => {
          isUnreached ||= !(error instanceof NoWillsThere);
          throw error;
        });
        return this.#heardOn(await connectPipe(address));
      });
    } catch (error) {
      if (error instanceof NoWillsThere && !isUnreached) this.leave();
      throw error;
    }
  }

  async #askWhether(address: string): Promise<void> {
    const url = new URL(LINK_WORDS_PATH, address);
    this.#client.onCall({ method: "GET", url: url.href, body: null, asCaller: false });
    const answer = await ask(url, { method: "GET", headers: {}, body: null, signal: AbortSignal.timeout(ANSWER_MS) });
    if (!answer.ok && answer.status !== 404) throw new Error(`HTTP ${answer.status}`);
    const said = await answer.json().catch(() => null);
    if (!answer.ok || !zLinkWords.safeParse(said).success) throw new NoWillsThere("the broker knows nothing of last wills");
  }

  /** Answers to wills are heard beside the link, which has asked for none. */
  #heardOn(pipe: Pipe): Pipe {
    this.#pipe = pipe;
    const onMessage: Pipe["onMessage"] = (handler) =>
      pipe.onMessage((message) => {
        if (typeof message === "string" && pipe === this.#pipe) this.#answered(message);
        handler(message);
      });
    return { ...pipe, onMessage };
  }

  #up(): void {
    const { publicKey } = this.#client.identity.signer;
    for (const [id, word] of this.#words) {
      // one that another key signed would be nobody's
      if (word && word.key !== publicKey) this.#words.set(id, this.#signed(id, word.kind));
      this.#toSay.add(id);
    }
    for (const [order, lease] of this.#orders) if (lease === null) void this.#lookAt(order);
    this.#say();
  }

  #down(why: string): void {
    if (why === CLOSINGS.malformed.says && ++this.#cuts >= CUT_MAX) return this.leave();
    this.#asked.clear();
  }

  /** By a new key of this program it goes on. */
  #refused(): void {
    this.#stop();
    if (this.#client.identity.signer.publicKey === this.#key || this.#isOver) return this.leave();
    this.#open();
  }

  #say(): void {
    if (!this.#link?.up || !this.#pipe) return;
    const unanswered = new Set(this.#asked.values());
    for (const id of this.#toSay) {
      if (this.#asked.size >= ASKED_MAX) return;
      // the broker looks at several at once: what is taken back before it was looked at would be kept
      if (unanswered.has(id)) continue;
      this.#toSay.delete(id);
      const word = this.#words.get(id);
      if (word === undefined) continue;
      this.#asked.set(++this.#ref, id);
      const will: ToBroker = { t: "will", ref: this.#ref, lease: id, envelope: word?.envelope ?? null };
      this.#pipe.send(JSON.stringify(will));
    }
    this.#restIfIdle();
  }

  #answered(text: string): void {
    const message = text.includes('"answer"') ? parseMessage(zFromBroker, text) : null;
    const id = message?.t === "answer" ? this.#asked.get(message.ref) : undefined;
    if (message?.t !== "answer" || id === undefined) return;
    this.#asked.delete(message.ref);
    this.#cuts = 0;
    const refusal = message.answer ? null : parseRefusal(message.error ?? {});
    if (refusal && ERROR_CODES[refusal.code].retryable) {
      this.#toSay.add(id);
      return void this.#client.timers.after(AGAIN_MS, () => this.#say());
    }
    // what was taken back, or cannot be said, is said no more
    if (refusal || this.#words.get(id) === null) if (!this.#toSay.has(id)) this.#words.delete(id);
    if (refusal?.code === "wrong_state") for (const [order, at] of this.#orders) if (at === id || order === id) void this.#lookAt(order);
    this.#say();
  }

  #event({ kind, lease, data }: LinkEvent): void {
    const order = typeof data["order"] === "string" && this.#orders.has(data["order"]) ? data["order"] : null;
    if (order !== null && kind === "order-refused") return this.#forget(order);
    // also one that has lapsed at a server
    if (order !== null && kind === "order-waiting") return this.#waits(order);
    if (lease === null) return;
    if (order !== null && kind === "lease-bound") return void this.#named(order, lease);
    if (OVER.has(kind)) this.over(lease);
  }

  /** Where it stands now: what was told of it may have been missed. */
  async #lookAt(order: string): Promise<void> {
    if (this.#isOver || !this.#orders.has(order) || !this.#client.identity.scopes.includes("read")) return;
    const stands = await this.#client.read("order", { params: { id: order } }).catch(() => null);
    if (!stands || !this.#orders.has(order)) return;
    if (stands.refused) this.#forget(order);
    else if (stands.lease !== null && stands.lease !== this.#orders.get(order)) await this.#named(order, stands.lease);
    this.#restIfIdle();
  }

  /** A link that has nothing to say would keep a program from its end. */
  #restIfIdle(): void {
    if (this.#words.size === 0 && ![...this.#orders.values()].includes(null)) this.#stop();
  }
}
