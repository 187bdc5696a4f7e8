/**
 * What is true of a receipt, worked out a second time and by other code: which of the lines that say `proved` are false. It knows who
 * holds which key, what was honestly signed, and how money is counted (`money.ts`); it folds nothing.
 */
import {
  KINDS,
  fromBase64,
  leafHashOf,
  parseCanonical,
  preAuthEncoding,
  toHex,
  type Envelope,
  type Kind,
  type Payload,
  type Receipt,
  type ReceiptDocument,
} from "@xenoservers/protocol";
import type { OwnFacts } from "../receipt/checking.ts";
import type { Line } from "../receipt/line.ts";
import { CUSTOMER, OWNER, type Cast, type KeyName } from "./cast.ts";
import { resultIn, usedIn } from "./lease-script.ts";
import { billed, extraHold, quoted } from "./money.ts";
import type { Story } from "./stories.ts";

/** A document of the receipt as the oracle reads it; `by`: null where the signature is not that key's. */
interface Read<K extends Kind = Kind> {
  kind: K;
  id: string;
  payload: Payload<K>;
  by: KeyName | null;
  at: number;
  /** In the log's order, without a place last. */
  place: number;
  isLogged: boolean;
}

const KIND = /^application\/vnd\.xenoservers\.([a-z-]+)\.v1\+json$/;

type SaidIn = Pick<Read, "kind" | "id" | "payload" | "by">;
/** Most documents of a forgery stand in others too. */
const known = new Map<string, SaidIn | null>();
const KNOWN_MAX = 20_000;

function saidIn(cast: Cast, envelope: Envelope): SaidIn | null {
  const { keyid, sig } = envelope.signatures[0];
  const name = `${keyid}${sig}${envelope.payloadType}${envelope.payload}`;
  const before = known.get(name);
  if (before !== undefined) return before;
  if (known.size >= KNOWN_MAX) known.clear();
  const said = readOnce(cast, envelope);
  known.set(name, said);
  return said;
}

function readOnce(cast: Cast, envelope: Envelope): SaidIn | null {
  const { crypto } = cast;
  const kind = KINDS.find((each) => each === KIND.exec(envelope.payloadType)?.[1]);
  const bytes = fromBase64(envelope.payload);
  const signature = fromBase64(envelope.signatures[0].sig);
  const payload = bytes && parseCanonical(bytes);
  if (!kind || !bytes || !signature || payload === null) return null;
  const signed = preAuthEncoding(envelope.payloadType, bytes);
  const { keyid } = envelope.signatures[0];
  const by = crypto.verify(keyid, signed, signature) ? cast.nameOf(keyid) : null;
  return { kind, id: toHex(crypto.sha256(signed)), payload: payload as unknown as Payload<Kind>, by };
}

class Reading {
  readonly cast: Cast;
  readonly all: Read[];
  readonly isWhole: boolean;

  constructor(cast: Cast, receipt: Receipt) {
    this.cast = cast;
    const stored = [...receipt.documents, ...receipt.leaves];
    this.all = stored.flatMap((each) => this.read(each.envelope, each) ?? []).sort((a, b) => a.place - b.place || a.at - b.at);
    this.isWhole =
      this.all.length === stored.length &&
      stored.every((each) => this.#opens(each)) &&
      new Set(stored.map(({ id }) => id)).size === stored.length;
  }

  read(envelope: Envelope, stored: Pick<ReceiptDocument, "at" | "index">): Read | null {
    const said = saidIn(this.cast, envelope);
    return said && { ...said, at: stored.at, place: stored.index ?? Number.MAX_SAFE_INTEGER, isLogged: stored.index !== null };
  }

  #opens(stored: ReceiptDocument): boolean {
    const read = this.read(stored.envelope, stored);
    if (!read || read.by === null || read.id !== stored.id || read.kind !== stored.kind) return false;
    return (
      leafHashOf(this.cast.crypto, { id: read.id, kind: read.kind, envelope: stored.envelope }, stored.at, stored.salt) === stored.leaf
    );
  }

  of<K extends Kind>(kind: K): Read<K>[] {
    return this.all.filter((each): each is Read<K> => each.kind === kind);
  }

  /** The lease's purchase order: any other is no part of it. */
  purchaseOrder(lease: string): Read<"purchase-order"> | null {
    return this.of("purchase-order").find(({ id }) => id === lease) ?? null;
  }

  /** The only one of its kind; null where there is none, or several. */
  one<K extends Kind>(kind: K): Read<K> | null {
    const found = this.of(kind);
    return found.length === 1 ? (found[0] ?? null) : null;
  }
}

export interface Asked {
  story: Story;
  receipt: Receipt;
  own: OwnFacts;
  /** Keys that the forger holds; everybody else is honest. */
  held: ReadonlySet<KeyName>;
  /** What the honest log had before its checkpoint was cosigned. */
  honest: Receipt;
}

const isCustomers = (by: KeyName | null): boolean => by !== null && CUSTOMER.includes(by);
const isOwners = (by: KeyName | null): boolean => by !== null && OWNER.includes(by);

/** By key: the public documents that give it its role, which must stand in the log before it says anything. */
const NEEDS: Readonly<Partial<Record<KeyName, readonly string[]>>> = {
  customer: ["party customer"],
  "customer-2": ["party customer", "rotated"],
  device: ["party customer", "grant device"],
  ci: ["party customer", "grant ci"],
  owner: ["party owner"],
  server: ["party owner", "grant enrol", "grant server"],
};

class Oracle {
  readonly asked: Asked;
  readonly reading: Reading;

  constructor(asked: Asked) {
    this.asked = asked;
    this.reading = new Reading(asked.story.cast, asked.receipt);
  }

  /** Whether the key that signed had its role where it signed. */
  #spoke({ by, place, at }: Pick<Read, "by" | "place" | "at">): boolean {
    const { story, held } = this.asked;
    if (by === null) return false;
    const key = story.cast.key(by);
    const isRevoked = this.reading.of("key-revoke").some((each) => each.payload.key === key && isCustomers(each.by) && each.place < place);
    if (isRevoked) return false;
    return (NEEDS[by] ?? []).every((label) => {
      const grant = story.play.find(label);
      // a forger may word its own grants otherwise
      const gives = (each: Read): boolean =>
        each.id === grant?.document.id || (each.kind === grant?.document.kind && each.by === grant.by && held.has(grant.by));
      return this.reading.all.some((each) => gives(each) && (each.place < place || (each.place === place && each.at <= at)));
    });
  }

  #embedded<K extends Kind>(kind: K, envelope: Envelope, where: Read): Read<K> | null {
    const read = this.reading.read(envelope, { at: where.at, index: null });
    return read?.kind === kind ? ({ ...read, place: where.place } as unknown as Read<K>) : null;
  }

  /** The purchase order with what it embeds, where all three are signed by whom they must be. */
  get bound() {
    const po = this.reading.purchaseOrder(this.asked.receipt.lease);
    const order = po && this.#embedded("order", po.payload.order, po);
    const offer = po && this.#embedded("offer", po.payload.offer, po);
    if (!po || !order || !offer || po.by !== "orders" || po.id !== this.asked.receipt.lease) return null;
    return isCustomers(order.by) && offer.by === "server" && this.#spoke(order) && this.#spoke(offer) ? { po, order, offer } : null;
  }

  isPurchaseTrue(): boolean {
    const { bound, asked } = this;
    if (!bound) return false;
    const { po, order, offer } = bound;
    const { payload } = po;
    const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
    const fees = this.reading.of("fee").filter((fee) => fee.by === "operator" && fee.isLogged && fee.place < po.place);
    const isFeeTrue =
      payload.feeBasisPoints === 0 ||
      fees.some((fee) => fee.payload.basisPoints === payload.feeBasisPoints && fee.payload.effectiveAt <= po.at);
    const [wanted, offered] = [order.payload, offer.payload];
    const region = wanted.conditions.find(({ key }) => key === "region");
    return [
      // a build machine's key was granted for one label
      order.by !== "ci" || wanted.label === "nightly",
      isFeeTrue && payload.feeBasisPoints <= Math.min(wanted.feeBasisPointsMax, offered.feeBasisPointsMax),
      Object.entries(quoted(wanted, offered.price)).every(([key, value]) => payload[key as keyof typeof payload] === value),
      same([payload.price, payload.timings], [offered.price, offered.timings]) && same(payload.timings, wanted.timings),
      same([payload.terms, payload.resources, payload.egressMibMax], [wanted.terms, wanted.resources, wanted.egressMibMax]),
      same(
        [payload.customer, payload.account, payload.owner, payload.server],
        [wanted.party, wanted.account, offered.owner, offered.server],
      ),
      payload.orderId === order.id && payload.offerId === offer.id && payload.slot < wanted.replicas,
      region === undefined || offered.labels["region"] === region.value,
      offered.allowedParties.length === 0 || offered.allowedParties.includes(wanted.party) || offered.owner === wanted.party,
      wanted.on === "market" || offered.owner === wanted.party,
      payload.issuedAt === po.at && payload.issuedAt < wanted.expiresAt && payload.issuedAt < offered.validUntil,
      payload.acceptBy === po.at + payload.timings.acceptWithinMs && payload.startBy === payload.acceptBy + payload.timings.startWithinMs,
      asked.own.customerKey === undefined || asked.story.cast.nameOf(asked.own.customerKey) === order.by,
    ].every(Boolean);
  }

  isOpeningTrue(): boolean {
    const [acceptance, opening, po] = [
      this.reading.one("acceptance"),
      this.reading.one("opening"),
      this.reading.purchaseOrder(this.asked.receipt.lease),
    ];
    if (!acceptance || !opening || !po || acceptance.by !== "server" || opening.by !== "orders" || !this.#spoke(acceptance)) return false;
    const away = this.reading.of("gap").reduce((sum, { payload }) => sum + Math.max(0, payload.to - payload.from), 0);
    const isThis =
      [acceptance, opening].every(({ payload }) => payload.lease === this.asked.receipt.lease) &&
      opening.payload.acceptance === acceptance.id;
    return isThis && po.place <= acceptance.place && acceptance.place <= opening.place && acceptance.at <= po.payload.acceptBy + away;
  }

  /** The first that the log has: a second one is no part of the lease. */
  get result(): Read<"result"> | null {
    const result = this.reading.of("result")[0] ?? null;
    return result?.by === "server" && result.payload.lease === this.asked.receipt.lease && this.#spoke(result) ? result : null;
  }

  /** Whether the server's result is what running the job comes to. */
  isResultTrue(): boolean {
    const { result, bound } = this;
    const { truth } = this.asked.story;
    if (!result || !truth || !bound || result.payload.jobHash !== bound.order.payload.jobHash || this.asked.own.reExecuted === undefined)
      return false;
    const stated = result.payload;
    const streams =
      stated.outputDigest === truth.outputDigest &&
      stated.stdoutDigest === truth.stdoutDigest &&
      stated.stderrDigest === truth.stderrDigest;
    const isOutside = stated.memoryHash === null && stated.reason !== "module-malformed";
    return (
      streams &&
      (isOutside || (stated.memoryHash === truth.memoryHash && BigInt(stated.fuel) === truth.fuel && stated.reason === truth.reason))
    );
  }

  #amended(): { durationMsMax: number; holdNanos: string } | null {
    const po = this.reading.purchaseOrder(this.asked.receipt.lease);
    if (!po) return null;
    let last: { durationMsMax: number; holdNanos: string } = po.payload;
    for (const amendment of this.reading.of("amendment")) {
      const extension = this.#embedded("extension", amendment.payload.extension, amendment);
      if (!extension || amendment.by !== "orders" || !isCustomers(extension.by) || !this.#spoke(extension)) return null;
      if (extension.payload.lease !== this.asked.receipt.lease || extension.payload.durationMsMax !== amendment.payload.durationMsMax)
        return null;
      const hold = BigInt(last.holdNanos) + extraHold(po.payload, last.durationMsMax, amendment.payload.durationMsMax);
      if (hold.toString() !== amendment.payload.holdNanos) return null;
      last = amendment.payload;
    }
    return last;
  }

  /** What honest parties would have settled at; null where the lease never ended by a result. */
  #honestDue(): string | null {
    const { play } = this.asked.story;
    const settlement = play.find("settlement") && play.of("settlement").document.payload;
    const result = resultIn(play);
    return settlement && settlement.reason === result?.document.payload.reason ? settlement.dueNanos : null;
  }

  isBillTrue(isLogProved: boolean): boolean {
    const { result, bound, asked } = this;
    const [settlement, closing, opening] = [this.reading.one("settlement"), this.reading.one("closing"), this.reading.one("opening")];
    const limits = this.#amended();
    if (this.reading.one("result") === null) return false;
    if (!result || !bound || !settlement || !closing || !opening || !limits || settlement.by !== "receipts") return false;
    const { payload } = settlement;
    if (
      payload.lease !== asked.receipt.lease ||
      payload.reason !== result.payload.reason ||
      payload.result !== result.id ||
      payload.closing !== closing.id
    )
      return false;
    const stop = this.reading.of("stop").find(({ payload: { lease } }) => lease === asked.receipt.lease) ?? null;
    if (stop && !(isCustomers(stop.by) || isOwners(stop.by))) return false;
    const { usedMs, fuel, egressBytes, reason } = result.payload;
    const { money, isCut } = billed({
      ...{ po: bound.po.payload, reason, ...limits, usedMs, fuel, egressBytes, closedAt: closing.at },
      ...{ openedAt: opening.at, stoppedAt: stop?.at ?? null, resultAt: result.at },
    });
    const isCounted = Object.entries(money).every(([key, value]) => payload[key as keyof typeof money] === value);
    const isPaid = payload.dueNanos !== "0" && money.billableMs + Number(money.billableFuel) > 0;
    return (
      isCounted && this.#isDelivered(result, isPaid) && ((!isCut && !(stop && isPaid)) || isLogProved) && this.#isHonest(payload.dueNanos)
    );
  }

  #isDelivered(result: Read<"result">, isPaid: boolean): boolean {
    const { own, story } = this.asked;
    const terms = this.bound?.po.payload.terms;
    const empty = story.cast.crypto.sha256(new Uint8Array());
    const hasBytes =
      result.payload.stdoutDigest !== toHex(empty) ||
      result.payload.outputDigest !== "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945";
    if (terms !== "on-result" || !isPaid || !hasBytes) return true;
    if (own.outputDigest === result.payload.outputDigest) return true;
    const deliveries = this.reading.of("delivery").filter(({ payload }) => payload.result === result.id);
    return deliveries.length > 0 && deliveries.every((each) => isCustomers(each.by) && this.#spoke(each));
  }

  /** Whether the server of the story stated more than the log's times allowed, where nobody had stopped it. */
  #isOverstated(): boolean {
    const { play } = this.asked.story;
    if (!play.has("settlement") || play.has("stop") || !resultIn(play)) return false;
    return billed(usedIn(play, play.of("settlement").document.payload.reason, play.of("closing").at)).isCut;
  }

  /**
   * Where both parties are honest, what they have signed gives one amount, unless one of their documents was left out and nobody misses
   * it.
   */
  #isHonest(dueNanos: string): boolean {
    const { held, own, story } = this.asked;
    if ([...CUSTOMER, ...OWNER].some((name) => held.has(name))) return true;
    const due = this.#honestDue();
    // who states more than there was time for is not honest: that there was no more time is the broker's word, and what it states is its own
    if (this.#isOverstated()) return true;
    const isLeftOut = ["stop", "extension 1", "extension 2"].some((label) => {
      const said = story.play.find(label);
      const isShown = this.reading.all.some(({ id }) => id === said?.document.id);
      return said !== null && !isShown && !own.documents?.includes(said.document.id);
    });
    return due !== null && (due === dueNanos || isLeftOut);
  }

  /** Whether the log's line is: everything in it is as it was when it was cosigned. */
  isLogTrue(): boolean {
    const { receipt, honest } = this.asked;
    const name = ({ id, at, salt, index, leaf }: ReceiptDocument): string => `${id} ${at} ${salt} ${index} ${leaf}`;
    const known = new Set([...honest.documents, ...honest.leaves].map(name));
    return (
      receipt.checkpoint === honest.checkpoint &&
      [...receipt.documents, ...receipt.leaves].every((each) => each.index !== null && known.has(name(each)))
    );
  }

  isVerdictTrue(): boolean {
    const verdict = this.reading.one("verdict");
    const { result } = this;
    const { truth } = this.asked.story;
    if (!verdict || verdict.by !== "receipts" || !result || !truth || this.asked.own.reExecuted === undefined) return false;
    const isLie =
      result.payload.stdoutDigest !== truth.stdoutDigest ||
      result.payload.memoryHash !== truth.memoryHash ||
      result.payload.fuel !== truth.fuel.toString();
    // what an appeal has overturned convicted who was right
    return this.reading.one("review")?.payload.overturned ? !isLie : isLie;
  }

  isFileTrue(): boolean {
    const { receipt, story } = this.asked;
    const { origin, keys, operatorKey } = story.cast.pins;
    return (
      JSON.stringify([receipt.market.origin, receipt.market.operatorKey]) === JSON.stringify([origin, operatorKey]) &&
      Object.entries(keys).every(([key, value]) => receipt.market.keys[key as keyof typeof keys] === value)
    );
  }

  isTrue(check: string, isLogProved: boolean): boolean {
    switch (check) {
      case "file":
        return this.isFileTrue();
      case "signatures":
        return this.reading.isWhole;
      case "log":
        return this.isLogTrue();
      case "purchase order":
        return this.isPurchaseTrue();
      case "opening":
        return this.isOpeningTrue();
      case "use":
      case "result":
        return this.isResultTrue();
      case "bill":
        return this.isBillTrue(isLogProved);
      case "dispute":
        return this.reading.of("ruling").some(({ by, payload }) => by === "operator" && payload.lease === this.asked.receipt.lease);
      case "verdict":
        return this.isVerdictTrue();
      default:
        return false;
    }
  }
}

/** The first line that says `proved` and is not so; null where there is none. */
export function firstLie(asked: Asked, lines: readonly Line[]): Line | null {
  const proved = lines.filter(({ status }) => status === "proved");
  if (proved.length === 0) return null;
  const oracle = new Oracle(asked);
  const isLogProved = proved.some(({ check }) => check === "log");
  return proved.find(({ check }) => !oracle.isTrue(check, isLogProved)) ?? null;
}
