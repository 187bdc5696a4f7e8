/**
 * One lease, said step by step as its honest parties would, with amounts worked out by `money.ts`. Every step's payload follows from
 * what was said before.
 */
import { DEFAULT_TIMINGS, EMPTY_BYTES_DIGEST, EMPTY_TREE_DIGEST, drawReferee, proofOf, type EndReason } from "@xenoservers/market";
import { endRootOf, fromHex, segmentHashOf, toHex, type Payload } from "@xenoservers/protocol";
import { judge } from "../judging/judgement.ts";
import { grantOf, type Cast, type KeyName } from "./cast.ts";
import { billed, extraHold, isDrawnBy, quoted, type Used } from "./money.ts";
import type { Rng } from "./rng.ts";
import { EPOCH, Script, digestOf, type Play, type Said } from "./script.ts";

export interface Deal {
  order?: Partial<Payload<"order">>;
  offer?: Partial<Payload<"offer">>;
  /** In basis points; null: none was announced. */
  fee?: number | null;
  orderBy?: KeyName;
  slot?: number;
  attempt?: number;
  /** Right audits of the owner before. */
  auditedBefore?: number;
  /** How many referees the operator has named; absent: one. */
  referees?: 1 | 2;
  /** Its owner has another server. */
  moves?: true;
}

const bytesOf = (hash: string): Uint8Array => fromHex(hash) ?? new Uint8Array();

const FREE = { egress: "none", egressMibMax: 0 } as const;
/** The script's jobs run alike. */
const UNDER = { driver: "wasm", assurance: "isolated" } as const;

export class LeaseScript extends Script {
  readonly deal: Deal;
  readonly jobHash: string;
  /** The server that has the lease. */
  holder: "server" | "server-2" = "server";

  constructor(cast: Cast, rng: Rng, deal: Deal = {}) {
    super(cast, rng);
    this.deal = deal;
    this.now += rng.below(1_000_000_000);
    this.jobHash = digestOf(cast, `job ${rng.hex(8)}`);
  }

  after(ms: number): this {
    this.now += ms;
    return this;
  }

  /** Parties and keys, as the log has them long before. */
  known(): this {
    const { cast } = this;
    const first = (party: string, by: KeyName, recovery: KeyName | null = null): void =>
      this.say(by, "party", () => ({ party, name: by, rootKey: cast.key(by), recoveryKey: recovery && cast.key(recovery) }), {
        label: `party ${by}`,
      });
    const grant = (by: KeyName, party: string, key: KeyName, role: "device" | "ci" | "enrol" | "server"): void =>
      this.say(by, "key-grant", () => grantOf(party, cast.key(key), role), { label: `grant ${key}` });
    first(cast.customer, "customer", "recovery");
    grant("customer", cast.customer, "device", "device");
    this.say("customer", "key-grant", () => ({ ...grantOf(cast.customer, cast.key("ci"), "ci"), leaseLabel: "nightly" }), {
      label: "grant ci",
    });
    first(cast.owner, "owner");
    grant("owner", cast.owner, "enrol", "enrol");
    grant("enrol", cast.owner, "server", "server");
    if (this.deal.moves) grant("owner", cast.owner, "server-2", "server");
    first(cast.refereeOwner, "referee-owner");
    grant("referee-owner", cast.refereeOwner, "referee", "server");
    this.say("operator", "referee", () => ({ server: cast.referee, active: true, clientId: this.rng.hex(16) }));
    if (this.deal.referees === 2) {
      grant("referee-owner", cast.refereeOwner, "referee-2", "server");
      this.say("operator", "referee", () => ({ server: cast.referee2, active: true, clientId: "cd".repeat(16) }), {
        label: "second referee",
      });
    }
    if (this.deal.fee !== undefined && this.deal.fee !== null) {
      const basisPoints = this.deal.fee;
      this.say("operator", "fee", (_, at) => ({ basisPoints, effectiveAt: at, clientId: "ab".repeat(16) }));
    }
    this.after(this.rng.between(1_000, 100_000));
    return this.deal.order?.assurance === undefined ? this : this.auditRound();
  }

  get #auditSecret(): string {
    return digestOf(this.cast, `audits ${this.jobHash}`);
  }

  auditRound(): this {
    const commitment = toHex(this.cast.crypto.sha256(bytesOf(this.#auditSecret)));
    this.say("receipts", "audit-round", (_, at) => ({
      ...{ epoch: EPOCH, round: 1, commitment, from: at, until: at + 3_600_000, previous: null },
    }));
    return this.after(this.rng.between(1_000, 100_000));
  }

  /** The round of its audit is over. */
  auditShown(): this {
    this.after(this.rng.between(1_000, 3_600_000));
    const secret = this.#auditSecret;
    this.say("receipts", "audit-reveal", (play, at) => ({ auditRound: play.of("audit-round").document.id, round: 1, secret, to: at }));
    return this;
  }

  /** What its broker says of the draw. */
  #drawn(play: Play, reason: EndReason, dueNanos: string): Pick<Said<"settlement">, "audited" | "auditRound"> {
    const { payload: po, id } = play.of("purchase-order").document;
    const result = resultIn(play)?.document.payload;
    const shown = result && result.reason === reason && proofOf(UNDER, result) !== null;
    if (po.auditPpm === 0 || !shown) return { audited: null, auditRound: null };
    const { auditSalt } = play.of("order").document.payload;
    const mac = this.cast.crypto.hmacSha256(bytesOf(this.#auditSecret), bytesOf(id + auditSalt));
    return { audited: isDrawnBy(mac, po, dueNanos), auditRound: play.of("audit-round").document.id };
  }

  /** The old root key is replaced: by itself, or by the recovery key, which says it twice. */
  rotated(by: "customer" | "recovery" = "customer"): this {
    const next = { party: this.cast.customer, newRootKey: this.cast.key("customer-2"), newRecoveryKey: null };
    const size = (at: number) => ({ seen: { epoch: EPOCH, size: at, root: "00".repeat(32) } });
    if (by === "recovery") this.say(by, "key-rotate", (_, at) => ({ ...next, ...size(at) }), { label: "announced" });
    this.after(by === "recovery" ? 7 * 86_400_000 : 1_000);
    this.say(by, "key-rotate", (_, at) => ({ ...next, ...size(at) }), { label: "rotated" });
    return this.after(1_000);
  }

  #order(at: number): Said<"order"> {
    const { rng, cast } = this;
    const byFuel = rng.chance(0.6);
    return {
      ...{
        party: cast.customer,
        account: cast.account,
        batch: null,
        clientId: rng.hex(16),
        jobHash: this.jobHash,
        segment: false,
        judges: null,
        driver: "wasm",
      },
      ...{
        accel: "any",
        ...FREE,
        resources: { vcpu: rng.between(1, 2), memoryMib: 512, diskMib: 256 },
        conditions: [{ key: "region", op: "=", value: "eu" }],
      },
      ...{
        assurance: "isolated",
        terms: byFuel ? "on-result" : "by-interval",
        on: "market",
        maxPriceNanosPerHour: null,
        durationMsMax: 3_600_000,
      },
      ...{
        fuelMax: "1000000000000",
        budgetNanos: "500000000",
        replicas: 1,
        expiresAt: at + 120_000,
        label: "nightly",
        feeBasisPointsMax: 500,
      },
      ...{ timings: DEFAULT_TIMINGS, channelKey: "11".repeat(32), auditSalt: rng.hex(32) },
      ...this.deal.order,
    };
  }

  #offer(at: number): Said<"offer"> {
    const { rng, cast } = this;
    const price = {
      ...{
        vcpuNanosPerSecond: `${rng.between(1_000, 20_000)}`,
        memoryGibNanosPerSecond: `${rng.between(100, 2_000)}`,
        diskGibNanosPerSecond: "10",
      },
      ...{ gigaFuelNanos: `${rng.between(100, 900)}`, egressGibNanos: `${rng.between(0, 10_000_000)}` },
    };
    return {
      ...{ owner: cast.owner, server: cast.server, sequence: rng.between(1, 1_000), validUntil: at + 600_000 },
      ...{
        resources: { vcpu: 4, memoryMib: 8192, diskMib: 100_000 },
        drivers: ["wasm", "qemu"],
        assurances: ["isolated", "replicated", "deterministic-vm"],
      },
      ...{
        labels: { region: "eu" },
        price,
        maxLeaseMs: 86_400_000,
        cpuScore: 100,
        sandbox: "strong",
        accel: "kvm",
        vmScore: 90,
        limits: "cgroup2",
        holds: {},
      },
      ...{ egress: "public", fetches: true, vmEngine: "engine-1", allowedParties: [], engine: "engine-1", feeBasisPointsMax: 500 },
      ...{ timings: DEFAULT_TIMINGS, channelKey: "22".repeat(32) },
      ...this.deal.offer,
    };
  }

  /** Order, offer and purchase order. */
  bound(): this {
    const { deal } = this;
    const order = this.#order(this.now);
    const offer = this.#offer(this.now);
    this.say(deal.orderBy ?? "device", "order", () => order);
    this.say("server", "offer", () => offer, { isAside: true });
    this.say("orders", "purchase-order", (play, at) => {
      const [wanted, offered] = [play.of("order").document, play.of("offer").document];
      const fee = play.has("fee") ? play.of("fee").document : null;
      const { account, resources, terms, egressMibMax, timings } = wanted.payload;
      const acceptBy = at + timings.acceptWithinMs;
      return {
        ...{ order: wanted.envelope, offer: offered.envelope, fee: fee?.envelope ?? null, orderId: wanted.id, offerId: offered.id },
        ...{ slot: deal.slot ?? 0, attempt: deal.attempt ?? 1, customer: wanted.payload.party, account, owner: offered.payload.owner },
        ...{ server: offered.payload.server, serverKey: offered.keyid, resources, price: offered.payload.price, terms, egressMibMax },
        ...quoted(wanted.payload, offered.payload.price, deal.slot ?? 0, deal.auditedBefore),
        ...{ feeBasisPoints: fee?.payload.basisPoints ?? 0, timings, issuedAt: at, acceptBy, startBy: acceptBy + timings.startWithinMs },
      };
    });
    return this;
  }

  accepted(): this {
    this.after(this.rng.between(1, 4_000));
    this.say("server", "acceptance", (play) => ({ lease: leaseIn(play), server: this.cast.server }));
    return this;
  }

  opened(): this {
    this.accepted();
    this.say("orders", "opening", (play, at) => {
      const { id: lease, payload } = play.of("purchase-order").document;
      return { lease, order: payload.orderId, slot: payload.slot, acceptance: play.of("acceptance").document.id, at };
    });
    return this;
  }

  /** `usedMs`: in all; `incarnation`: of the server that says so. */
  claimed(usedMs: number, egressBytes = 0, incarnation = 1): this {
    this.after(10_000);
    const sequence = this.parts.filter(({ kind }) => kind === "claim").length + 1;
    const label = `claim ${sequence}`;
    this.say(
      this.holder,
      "claim",
      (play) => ({ lease: leaseIn(play), incarnation, sequence, usedMs, egressBytes, previous: lastClaimIn(play) }),
      { label },
    );
    this.say(
      "receipts",
      "claim-receipt",
      (play, at) => ({ lease: leaseIn(play), claim: play.of("claim", label).document.id, sequence, usedMs, egressBytes, at }),
      { label: `receipt ${sequence}` },
    );
    return this;
  }

  stopped(by: KeyName = "device"): this {
    const party = by === "owner" ? this.cast.owner : this.cast.customer;
    this.after(this.rng.between(1, 5_000)).say(by, "stop", (play) => ({ lease: leaseIn(play), party, reason: "enough" }));
    return this;
  }

  extended(byMs: number): this {
    this.after(this.rng.between(1, 5_000));
    const n = this.parts.filter(({ kind }) => kind === "extension").length + 1;
    this.say(
      "device",
      "extension",
      (play) => {
        const { durationMsMax, previous } = limitsIn(play);
        return { lease: leaseIn(play), party: this.cast.customer, durationMsMax: durationMsMax + byMs, previous };
      },
      { label: `extension ${n}` },
    );
    this.say(
      "orders",
      "amendment",
      (play, at) => {
        const { envelope, payload } = play.of("extension", `extension ${n}`).document;
        const { durationMsMax, holdNanos } = limitsIn(play);
        const hold = BigInt(holdNanos) + extraHold(play.of("purchase-order").document.payload, durationMsMax, payload.durationMsMax);
        return {
          lease: leaseIn(play),
          extension: envelope,
          durationMsMax: payload.durationMsMax,
          holdNanos: hold.toString(),
          previous: payload.previous,
          at,
        };
      },
      { label: `amendment ${n}` },
    );
    return this;
  }

  /** What an honest run of the job comes to. */
  get came() {
    const { cast, jobHash } = this;
    return {
      ...{ memoryHash: digestOf(cast, `memory ${jobHash}`), outputDigest: digestOf(cast, `output ${jobHash}`) },
      ...{ stdoutDigest: digestOf(cast, `stdout ${jobHash}`), stderrDigest: EMPTY_BYTES_DIGEST },
    };
  }

  /** What a server states of it. */
  manifest(over: Partial<Said<"result">> = {}): (play: Play) => Said<"result"> {
    const nonce = this.rng.hex(32);
    const server = this.holder === "server" ? this.cast.server : this.cast.server2;
    return (play) => ({
      ...{ lease: leaseIn(play), server, jobHash: this.jobHash, engine: "engine-1", reason: "completed", exitCode: 0 },
      ...{
        incarnation: 1,
        usedMs: 2_000,
        egressBytes: 0,
        lastClaim: lastClaimIn(play),
        fuelMax: play.of("purchase-order").document.payload.fuelMax,
        fuel: "5000000000",
        ...this.came,
        stateRoot: null,
        nonce,
        detail: "",
      },
      ...over,
    });
  }

  /** A replica's: it has its result, and shows it once all have one. */
  committed(over: Partial<Said<"result">> = {}): this {
    this.say("server", "result", this.manifest(over), { isAside: true });
    this.say("server", "commitment", (play) => ({
      ...{ lease: leaseIn(play), server: this.cast.server, incarnation: 1, result: play.of("result").document.id },
    }));
    this.after(500).say("orders", "reveal", (play, at) => ({ lease: leaseIn(play), order: play.of("order").document.id, at }));
    return this;
  }

  shown(): this {
    this.after(100).say("server", "result", (play) => play.of("result").document.payload, { label: "shown" });
    return this;
  }

  result(over: Partial<Said<"result">> = {}, { at }: { at?: number } = {}): this {
    this.say(this.holder, "result", this.manifest(over), at === undefined ? {} : { at });
    return this;
  }

  delivered(by: "device" | "ci" | "customer" | "receipts" = "device"): this {
    const sealed = by === "receipts" ? digestOf(this.cast, "sealed") : null;
    this.say(by, "delivery", (play) => ({ lease: leaseIn(play), result: play.of("result").document.id, sealed }));
    return this;
  }

  /** Closing and settlement; without a reason, the result's. */
  over(reason: EndReason | null = null): this {
    this.say("receipts", "closing", (play, at) => ({
      ...{ lease: leaseIn(play), at, lastClaim: receiptedIn(play)?.id ?? null },
      reason: reason ?? play.of("result").document.payload.reason,
    }));
    if (!this.parts.some(({ kind }) => kind === "opening")) return this;
    this.say("receipts", "settlement", (play, at) => {
      const { id: closing, payload } = play.of("closing").document;
      const { money } = billed(usedIn(play, payload.reason, payload.at));
      const { timings } = play.of("purchase-order").document.payload;
      const result = resultIn(play)?.document.id ?? null;
      return {
        lease: leaseIn(play),
        result,
        closing,
        reason: payload.reason,
        ...money,
        ...this.#drawn(play, payload.reason, money.dueNanos),
        windowEndsAt: payload.at + timings.disputeWindowMs,
        at,
      };
    });
    return this;
  }

  gap(ms: number): this {
    const from = this.now + 1;
    this.after(ms + 1).say("receipts", "gap", (_, at) => ({ from, to: at }));
    return this;
  }

  traced(step: string): this {
    this.say("device", "trace-request", (play) => ({ lease: leaseIn(play), party: this.cast.customer, step }));
    return this;
  }

  /** The server's roots; `roots`: how many. */
  traceOf(step: string, roots: number): this {
    this.after(5_000).say("server", "trace", (play) => ({
      ...{
        lease: leaseIn(play),
        server: this.cast.server,
        request: play.of("trace-request").document.id,
        jobHash: this.jobHash,
        engine: "engine-1",
        step,
      },
      ...{ roots: Array.from({ length: roots }, (_, i) => this.stateRoot(i + 1)), detail: "" },
    }));
    return this;
  }

  stateRoot = (checkpoint: number): string => digestOf(this.cast, `state ${this.jobHash} ${checkpoint}`);

  /** What the referee signs, in its own lease, for the whole job or for one segment of it. */
  ruling(over: Partial<Said<"result">>, segment: number | null, step = "0", round: 1 | 2 = 1): this {
    const { crypto } = this.cast;
    const said = this.manifest(over);
    const by = this.judge(round);
    const referee = this.#serverOf(by);
    this.say(
      by,
      "result",
      (play) => {
        const mine = said(play);
        const own = { ...mine, lease: digestOf(this.cast, `referee's ${this.jobHash}`), server: referee };
        if (segment === null) return own;
        const from = segment === 1 ? null : this.stateRoot(segment - 1);
        return {
          ...own,
          jobHash: segmentHashOf(crypto, this.jobHash, { from, step, index: segment, upTo: null }),
          stateRoot: over.stateRoot ?? endRootOf(crypto, mine),
        };
      },
      { label: round === 1 ? "theirs" : "second ruling", isAside: true },
    );
    return this;
  }

  #serverOf = (by: KeyName): string => (by === "referee-2" ? this.cast.referee2 : this.cast.referee);

  /** Whose turn it is in this round: of two, as the settlement's id has it. */
  judge(round: 1 | 2): "referee" | "referee-2" {
    if (this.deal.referees !== 2) return "referee";
    const seed = this.play().of("settlement").document.id;
    return drawReferee(seed, this.#candidates, round) === this.cast.referee ? "referee" : "referee-2";
  }

  get #candidates(): string[] {
    const { referee, referee2 } = this.cast;
    return this.deal.referees === 2 ? [referee, referee2].toSorted() : [referee];
  }

  /** Whose turn it is to judge; where nobody was asked for states, the customer doubts the whole. */
  drawn(round: 1 | 2 = 1): this {
    const [candidates, label] = [this.#candidates, round === 1 ? "draw" : "second draw"];
    if (!this.parts.some(({ kind }) => kind === "trace-request"))
      this.say("device", "trace-request", (play) => ({ lease: leaseIn(play), party: this.cast.customer, step: null }));
    this.say(
      "receipts",
      "draw",
      (play, at) => {
        const referee = drawReferee(play.of("settlement").document.id, candidates, round);
        const before = round === 1 ? null : drawReferee(play.of("settlement").document.id, candidates, 1);
        const passed = before === null ? [] : [{ referee: before, why: "it has judged" }];
        return { lease: leaseIn(play), round, referee, candidates, passed, at };
      },
      { label },
    );
    return this;
  }

  /** A second referee is drawn, and comes to what `over` says; the verdict is overturned where that is what the server signed. */
  appealed(over: Partial<Said<"result">>): this {
    this.drawn(2).ruling(over, null, "0", 2).after(500);
    const refereeLease = digestOf(this.cast, `referee's ${this.jobHash}`);
    const referee = this.#serverOf(this.judge(2));
    this.say("owner", "appeal", (play) => ({ lease: leaseIn(play), party: this.cast.owner, refereeLease }));
    this.say("receipts", "review", (play, at) => {
      const ruling = play.of("result", "second ruling").document;
      const verdict = play.of("verdict").document;
      const judgement = judge(this.cast.crypto, play.of("result").document.payload, ruling.payload, UNDER, null);
      const overturned = judgement.ok && judgement.difference === null;
      const about = { lease: leaseIn(play), server: this.cast.server, owner: this.cast.owner, referee, round: 2, verdict: verdict.id };
      return { ...about, ruling: ruling.envelope, overturned, why: "what a second referee came to", at };
    });
    return this;
  }

  /** `isShown`: with what the referee signed; false: as by clients that say which lease it is, and no more. */
  disputed(segment: number | null, isShown = true): this {
    const refereeLease = digestOf(this.cast, `referee's ${this.jobHash}`);
    this.say("device", "dispute", (play) => {
      const ruling = isShown ? play.of("result", "theirs").document.envelope : null;
      return { lease: leaseIn(play), party: this.cast.customer, refereeLease, segment, ruling };
    });
    return this;
  }

  convicted(segment: number | null): this {
    const referee = this.#serverOf(this.judge(1));
    this.say("receipts", "verdict", (play, at) => {
      const { ownerNanos, feeNanos } = play.of("settlement").document.payload;
      const { stakeNanos } = play.of("purchase-order").document.payload;
      const part = segment === null ? null : { trace: play.of("trace").document.payload, segment };
      const judgement = judge(
        this.cast.crypto,
        play.of("result").document.payload,
        play.of("result", "theirs").document.payload,
        UNDER,
        part,
      );
      const why = judgement.ok ? (judgement.difference ?? "nothing") : judgement.why;
      return {
        ...{ lease: leaseIn(play), server: this.cast.server, owner: this.cast.owner, referee, round: 1 },
        ...{ result: play.of("result").document.envelope, ruling: play.of("result", "theirs").document.envelope },
        ...{ trace: segment === null ? null : play.of("trace").document.envelope, segment, why, at },
        ...{ refundNanos: (BigInt(ownerNanos) + BigInt(feeNanos)).toString(), slashedNanos: stakeNanos, slashedTo: this.cast.customer },
      };
    });
    return this;
  }
}

export const NO_BYTES = { outputDigest: EMPTY_TREE_DIGEST, stdoutDigest: EMPTY_BYTES_DIGEST, stderrDigest: EMPTY_BYTES_DIGEST } as const;

export const leaseIn = (play: Play): string => play.of("purchase-order").document.id;

/** The last claim that the broker has receipted. */
function receiptedIn(play: Play): { id: string; usedMs: number; egressBytes: number } | null {
  const last = play.all("claim-receipt").at(-1)?.document.payload;
  return last ? { id: last.claim, usedMs: last.usedMs, egressBytes: last.egressBytes } : null;
}

const lastClaimIn = (play: Play): string => receiptedIn(play)?.id ?? play.of("opening").document.id;

function limitsIn(play: Play): { durationMsMax: number; holdNanos: string; previous: string } {
  const po = play.of("purchase-order").document;
  const last = play.all("amendment").at(-1)?.document;
  return { durationMsMax: (last ?? po).payload.durationMsMax, holdNanos: (last ?? po).payload.holdNanos, previous: (last ?? po).id };
}

/** The result that the lease was told; a replica's only once it was shown. */
export function resultIn(play: Play) {
  const told = play.find("result");
  if (play.find("shown")) return play.of("result", "shown");
  return told && !told.isAside ? play.of("result") : null;
}

/** Of a lease that has moved, as if it had been opened so long before as had been claimed by then. */
function meteredSince(play: Play): number {
  if (!play.has("move")) return play.of("opening").at;
  const { at } = play.of("move");
  const last = play.all("claim-receipt").findLast((receipt) => receipt.at <= at);
  return at - (last ? Math.min(last.document.payload.usedMs, last.at - play.of("opening").at) : 0);
}

export function usedIn(play: Play, reason: EndReason, closedAt: number): Used {
  const result = resultIn(play);
  const stated = result?.document.payload.reason === reason ? result.document.payload : null;
  const claim = receiptedIn(play);
  const { durationMsMax, holdNanos } = limitsIn(play);
  return {
    ...{ po: play.of("purchase-order").document.payload, reason, durationMsMax, holdNanos, closedAt },
    openedAt: play.has("opening") ? meteredSince(play) : null,
    stoppedAt: play.has("stop") ? play.of("stop").at : null,
    resultAt: result?.at ?? null,
    usedMs: stated?.usedMs ?? claim?.usedMs ?? 0,
    fuel: stated?.fuel ?? "0",
    egressBytes: stated?.egressBytes ?? claim?.egressBytes ?? 0,
  };
}
