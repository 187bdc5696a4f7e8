/**
 * What is true of a receipt, worked out a second time and by other code: which of the lines that say `proved` are false. It knows who
 * holds which key, what was honestly signed, and how money is counted (`money.ts`); it folds nothing.
 */
import { TERMS } from "@xenoservers/market";
import { toHex, type Envelope, type Kind, type Payload, type Receipt, type ReceiptDocument } from "@xenoservers/protocol";
import type { OwnFacts } from "../receipt/checking.ts";
import type { Line } from "../receipt/line.ts";
import { CUSTOMER, OWNER, type KeyName } from "./cast.ts";
import { resultIn, usedIn } from "./lease-script.ts";
import { billed, extraHold, quoted } from "./money.ts";
import { Reading, type Read } from "./reading.ts";
import type { Story } from "./stories.ts";

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
  referee: ["party referee-owner", "grant referee"],
  "server-2": ["party owner", "grant server-2"],
  "referee-2": ["party referee-owner", "grant referee-2"],
};

/** By line: the documents that it rests on beside those of the lines before it. */
const RESTS: readonly (readonly [check: string, kinds: readonly Kind[]])[] = [
  ["purchase order", ["purchase-order", "order"]],
  ["opening", ["acceptance", "opening"]],
  ["use", ["claim", "claim-receipt", "stop", "extension", "amendment", "takeover", "move"]],
  ["result", ["commitment", "reveal", "result", "delivery"]],
  ["bill", ["closing", "settlement"]],
  ["dispute", ["objection", "ruling", "trace-request", "trace", "dispute"]],
  ["verdict", ["verdict"]],
];

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
      return this.reading.all.some(
        (each) => gives(each) && each.isLogged && (each.place < place || (each.place === place && each.at <= at)),
      );
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
      Object.entries(quoted(wanted, offered.price, payload.slot, payload.auditedBefore)).every(
        ([key, value]) => payload[key as keyof typeof payload] === value,
      ),
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

  /** Whether the other server of the owner has the lease by the word of all three who must give it. */
  #isMoved(move: Read<"move">): boolean {
    const { cast } = this.asked.story;
    const takeover = this.#embedded("takeover", move.payload.takeover, move);
    const handover = takeover && this.#embedded("handover", takeover.payload.handover, move);
    const offer = takeover && this.#embedded("offer", takeover.payload.offer, move);
    if (!takeover || !handover || !offer || move.by !== "orders" || handover.by !== "server") return false;
    const isOthers = [takeover, offer].every(({ by, payload }) => by === "server-2" && payload.server === cast.server2);
    const isNamed = handover.payload.server === cast.server && handover.payload.to === cast.server2;
    const isThis = [move, takeover, handover].every(({ payload }) => payload.lease === this.asked.receipt.lease);
    return isOthers && isNamed && isThis && [takeover, handover, offer].every((each) => this.#spoke(each));
  }

  /** Who has the lease there; null: nobody can tell. */
  #holderAt(place: number): KeyName | null {
    const moves = this.reading.of("move");
    const [move] = moves;
    if (move === undefined) return "server";
    return moves.length === 1 && move.place <= place && this.#isMoved(move) ? "server-2" : null;
  }

  /** The first that the log has: a second one is no part of the lease. */
  get result(): Read<"result"> | null {
    const result = this.reading.of("result")[0] ?? null;
    return result && result.by === this.#holderAt(result.place) && result.payload.lease === this.asked.receipt.lease && this.#spoke(result)
      ? result
      : null;
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
    if (!this.#isClaimed(result)) return false;
    const { money, isCut } = billed({
      ...{ po: bound.po.payload, reason, ...limits, usedMs, fuel, egressBytes, closedAt: closing.at },
      ...{ openedAt: this.#meteredSince(opening.at), stoppedAt: stop?.at ?? null, resultAt: result.at },
    });
    const isCounted = Object.entries(money).every(([key, value]) => payload[key as keyof typeof money] === value);
    const isPaid = payload.dueNanos !== "0" && money.billableMs + Number(money.billableFuel) > 0;
    return (
      isCounted && this.#isDelivered(result, isPaid) && ((!isCut && !(stop && isPaid)) || isLogProved) && this.#isHonest(payload.dueNanos)
    );
  }

  /** Of a lease that has moved, as if it had been opened so long before as had been claimed by then. */
  #meteredSince(openedAt: number): number {
    const [move] = this.reading.of("move");
    if (move === undefined) return openedAt;
    const last = this.reading.of("claim-receipt").findLast(({ place }) => place < move.place);
    return move.at - (last ? Math.min(last.payload.usedMs, last.at - openedAt) : 0);
  }

  /** Whether claims speak for all the time that is paid: one at least every interval, late by half of one at most. */
  #isClaimed({ payload: { usedMs, reason } }: Read<"result">): boolean {
    const { bound } = this;
    if (bound?.po.payload.terms !== "by-interval" || TERMS[reason].pay["by-interval"] !== "used") return true;
    const away = this.reading.of("gap").reduce((ms, { payload }) => ms + Math.max(0, payload.to - payload.from), 0);
    const most = 1.5 * bound.po.payload.timings.claimIntervalMs + away;
    let before = 0;
    for (const ms of [...this.reading.of("claim-receipt").map(({ payload }) => payload.usedMs), usedMs]) {
      if (ms - before > most) return false;
      before = ms;
    }
    return true;
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

  /** What a referee has come to, where the operator had named it. */
  #ruledBy(referee: string, envelope: Envelope, where: Read): Payload<"result"> | null {
    const ruling = this.#embedded("result", envelope, where);
    const named = this.reading
      .of("referee")
      .some(({ by, isLogged, payload }) => by === "operator" && isLogged && payload.server === referee);
    return ruling && named && this.#spoke(ruling) ? ruling.payload : null;
  }

  #isWhatTheJobComesTo({ stdoutDigest, memoryHash, fuel }: Payload<"result">): boolean {
    const { truth } = this.asked.story;
    return truth !== null && stdoutDigest === truth.stdoutDigest && memoryHash === truth.memoryHash && fuel === truth.fuel.toString();
  }

  /** Right and not overturned, or wrong and overturned. */
  isVerdictTrue(): boolean {
    const [verdict, review] = [this.reading.one("verdict"), this.reading.one("review")];
    const { result } = this;
    if (verdict?.by !== "receipts" || !result || !this.asked.story.truth || this.asked.own.reExecuted === undefined) return false;
    if (this.#ruledBy(verdict.payload.referee, verdict.payload.ruling, verdict) === null) return false;
    const isRight = this.#isWhatTheJobComesTo(result.payload);
    if (review?.payload.overturned !== true) return !isRight;
    return isRight && review.by === "receipts" && this.#ruledBy(review.payload.referee, review.payload.ruling, review) !== null;
  }

  /** A log that was cosigned has the round and the settlement that the honest broker signed, which drew by the secret that it had fixed. */
  isAuditTrue(): boolean {
    const { play } = this.asked.story;
    const settlement = this.reading.one("settlement");
    const honest = play.find("settlement") && play.of("settlement").document.payload;
    return this.isLogTrue() && honest !== null && honest.audited !== null && settlement?.payload.audited === honest.audited;
  }

  isFileTrue(): boolean {
    const { receipt, story } = this.asked;
    const { origin, keys, operatorKey } = story.cast.pins;
    return (
      JSON.stringify([receipt.market.origin, receipt.market.operatorKey]) === JSON.stringify([origin, operatorKey]) &&
      Object.entries(keys).every(([key, value]) => receipt.market.keys[key as keyof typeof keys] === value)
    );
  }

  /** Whether all that the line rests on is in the log. */
  #isLogged(check: string): boolean {
    const last = RESTS.findIndex(([name]) => name === check);
    const kinds = RESTS.slice(0, last + 1).flatMap(([, each]) => each);
    return this.reading.all.every(({ kind, isLogged }) => isLogged || !kinds.includes(kind));
  }

  /** "your order" is said to its customer alone. */
  isYours(): boolean {
    const po = this.reading.purchaseOrder(this.asked.receipt.lease);
    const order = po && this.#embedded("order", po.payload.order, po);
    return order !== null && isCustomers(order.by) && this.asked.own.party === order.payload.party;
  }

  isTrue(check: string, isLogProved: boolean): boolean {
    if (!this.#isLogged(check)) return false;
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
      case "audit":
        return this.isAuditTrue();
      default:
        return false;
    }
  }
}

/** The first line that says `proved`, or "your order", and is not so; null where there is none. */
export function firstLie(asked: Asked, lines: readonly Line[]): Line | null {
  const proved = lines.filter(({ status }) => status === "proved");
  const yours = lines.find(({ says }) => says.includes("your order"));
  if (proved.length === 0 && !yours) return null;
  const oracle = new Oracle(asked);
  if (yours && !oracle.isYours()) return yours;
  const isLogProved = proved.some(({ check }) => check === "log");
  return proved.find(({ check }) => !oracle.isTrue(check, isLogProved)) ?? null;
}
