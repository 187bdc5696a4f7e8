/**
 * A market on paper: its keys, parties with their grants, servers, offers and the documents of a lease, each rightly signed and following
 * from the others. Tests of whoever checks documents begin with these and change what they like: nothing here runs, and nothing is
 * checked.
 */
import {
  auditPpmOf,
  DEFAULT_DRIVER,
  DEFAULT_TIMINGS,
  EMPTY_BYTES_DIGEST,
  EMPTY_TREE_DIGEST,
  ROLE_SCOPES,
  quoteOn,
  stakeToLockNanos,
  type KeyRole,
} from "@xenoservers/market";
import {
  partyIdOf,
  rootAccountOf,
  serverIdOf,
  signDocument,
  toHex,
  type Envelope,
  type Kind,
  type LeaseView,
  type MarketPins,
  type Payload,
  type SignedDocument,
  type Signer,
} from "@xenoservers/protocol";
import { channelKeyPair, type ChannelKeyPair } from "@xenoservers/protocol/channel";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import type { Random } from "./random.ts";

/** A document's own part of its payload. */
export type Own<K extends Kind> = Omit<Payload<K>, "origin" | "seen">;

export interface PaperParty {
  party: string;
  account: string;
  signer: Signer;
  /** What gives its keys their roles. */
  grants: Envelope[];
}

export interface PaperServer {
  id: string;
  owner: PaperParty;
  signer: Signer;
  channelKey: ChannelKeyPair;
  grants: Envelope[];
}

export const PAPER_PRICE = {
  vcpuNanosPerSecond: "1000",
  memoryGibNanosPerSecond: "10",
  diskGibNanosPerSecond: "1",
  gigaFuelNanos: "600",
  egressGibNanos: "0",
} as const;

export class PaperMarket {
  readonly random: Random;
  readonly origin: string;
  readonly orders: Signer;
  readonly receipts: Signer;
  readonly checkpoints: Signer;
  readonly operator: Signer;
  /** The fee's document, where one is announced. */
  fee: SignedDocument<"fee"> | null = null;
  now: number;

  constructor(random: Random, now = 1_800_000_000_000, origin = "paper.market") {
    this.random = random;
    this.now = now;
    this.origin = origin;
    [this.orders, this.receipts, this.checkpoints, this.operator] = [this.key(), this.key(), this.key(), this.key()];
  }

  key(): Signer {
    return createSigner(this.random.bytes(32));
  }

  id(): string {
    return toHex(this.random.bytes(32));
  }

  get pins(): MarketPins {
    const keys = { purchaseOrders: this.orders.publicKey, checkpoints: this.checkpoints.publicKey, receipts: this.receipts.publicKey };
    return { origin: this.origin, keys, operatorKey: this.operator.publicKey };
  }

  get info(): MarketInfo {
    return {
      ...this.pins,
      ...{
        currency: "credits",
        log: { epoch: "e0".repeat(16), size: 0, root: EMPTY_BYTES_DIGEST },
        feeBasisPoints: this.fee?.payload.basisPoints ?? 0,
        announcedFee: null,
        referees: [],
        witnesses: [],
      },
      ...{ mergeDelayMs: 1_000, timings: DEFAULT_TIMINGS, protocol: { min: 1, max: 1 }, now: this.now },
    };
  }

  sign<K extends Kind>(signer: Signer, kind: K, own: Own<K>): SignedDocument<K> {
    // every payload is its own part and these two
    return signDocument(nodeCrypto, signer, kind, { origin: this.origin, seen: null, ...own } as Payload<K>);
  }

  announceFee(basisPoints: number, effectiveAt = 0): void {
    this.fee = this.sign(this.operator, "fee", { basisPoints, effectiveAt, clientId: toHex(this.random.bytes(16)) });
  }

  /** A party with its first root key; the key is made from `seed`. */
  party(name: string, seed = this.random.bytes(32)): PaperParty {
    const signer = createSigner(seed);
    const party = partyIdOf(nodeCrypto, signer.publicKey);
    const { envelope } = this.sign(signer, "party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
    return { party, account: rootAccountOf(party), signer, grants: [envelope] };
  }

  grant(to: PaperParty, key: string, role: Exclude<KeyRole, "root">, over: Partial<Own<"key-grant">> = {}): Envelope {
    const { party } = to;
    const bounds = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null };
    return this.sign(to.signer, "key-grant", { party, key, role, label: role, scopes: [...ROLE_SCOPES[role]], ...bounds, ...over })
      .envelope;
  }

  server(owner: PaperParty): PaperServer {
    const signer = this.key();
    const grants = [...owner.grants, this.grant(owner, signer.publicKey, "server")];
    return { id: serverIdOf(nodeCrypto, signer.publicKey), owner, signer, channelKey: channelKeyPair(this.random.bytes(32)), grants };
  }

  offer(server: PaperServer, over: Partial<Own<"offer">> = {}): SignedDocument<"offer"> {
    return this.sign(server.signer, "offer", {
      ...{ owner: server.owner.party, server: server.id, sequence: 1, validUntil: this.now + 600_000 },
      ...{
        resources: { vcpu: 4, memoryMib: 4_096, diskMib: 4_096 },
        drivers: [DEFAULT_DRIVER],
        assurances: ["isolated", "replicated"],
        labels: {},
      },
      ...{
        price: PAPER_PRICE,
        maxLeaseMs: 3_600_000,
        cpuScore: 100,
        sandbox: "strong",
        accel: "none",
        vmScore: 0,
        limits: "cgroup2",
        holds: {},
      },
      ...{
        egress: "none",
        fetches: false,
        vmEngine: "",
        allowedParties: [],
        engine: "paper-1",
        feeBasisPointsMax: 5_000,
        timings: DEFAULT_TIMINGS,
      },
      channelKey: toHex(server.channelKey.publicKey),
      ...over,
    });
  }

  order(customer: PaperParty, over: Partial<Own<"order">> = {}): SignedDocument<"order"> {
    return this.sign(customer.signer, "order", {
      ...{
        party: customer.party,
        account: customer.account,
        batch: null,
        clientId: toHex(this.random.bytes(16)),
        jobHash: this.id(),
        segment: false,
        judges: null,
      },
      ...{
        driver: DEFAULT_DRIVER,
        accel: "any",
        egress: "none",
        egressMibMax: 0,
        resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
        conditions: [],
      },
      ...{
        assurance: "isolated",
        terms: "on-result",
        on: "market",
        maxPriceNanosPerHour: null,
        durationMsMax: 60_000,
        fuelMax: "1000000000000",
      },
      ...{
        budgetNanos: "1000000000",
        replicas: 1,
        expiresAt: this.now + 600_000,
        label: "",
        feeBasisPointsMax: 5_000,
        timings: DEFAULT_TIMINGS,
      },
      channelKey: toHex(channelKeyPair(this.random.bytes(32)).publicKey),
      auditSalt: this.id(),
      ...over,
    });
  }

  /** What follows from order, offer and fee; `over` is the broker's own idea of it. */
  purchaseOrder(
    order: SignedDocument<"order">,
    server: PaperServer,
    offer: SignedDocument<"offer">,
    over: Partial<Own<"purchase-order">> = {},
  ): SignedDocument<"purchase-order"> {
    const { party: customer, account, resources, terms, egressMibMax, assurance, timings } = order.payload;
    const { slot = 0 } = over;
    const quoted = quoteOn(order.payload, offer.payload, slot);
    const acceptBy = this.now + timings.acceptWithinMs;
    return this.sign(this.orders, "purchase-order", {
      ...{
        order: order.envelope,
        offer: offer.envelope,
        fee: this.fee?.envelope ?? null,
        orderId: order.id,
        offerId: offer.id,
        slot: 0,
        attempt: 1,
      },
      ...{
        customer,
        account,
        owner: server.owner.party,
        server: server.id,
        serverKey: server.signer.publicKey,
        resources,
        price: offer.payload.price,
        terms,
      },
      ...{
        durationMsMax: quoted.durationMsMax,
        fuelMax: quoted.fuelMax.toString(),
        egressMibMax,
        timeBound: quoted.timeBound,
        fuelBound: quoted.fuelBound,
      },
      ...{ holdNanos: quoted.holdNanos.toString(), cancellationNanos: quoted.cancellationNanos.toString() },
      ...{ feeBasisPoints: this.fee?.payload.basisPoints ?? 0, stakeNanos: stakeToLockNanos(assurance, quoted.workNanos).toString() },
      ...{ auditedBefore: 0, auditPpm: auditPpmOf(order.payload, 0), auditReserveNanos: quoted.auditReserveNanos.toString() },
      ...{ timings, issuedAt: this.now, acceptBy, startBy: acceptBy + timings.startWithinMs },
      ...over,
    });
  }

  /** A server's result for a lease; of a job that wrote nothing unless `over` says so. */
  result(server: PaperServer, lease: string, order: SignedDocument<"order">, over: Partial<Own<"result">> = {}): SignedDocument<"result"> {
    return this.sign(server.signer, "result", {
      ...{
        lease,
        incarnation: 1,
        server: server.id,
        jobHash: order.payload.jobHash,
        engine: "paper-1",
        reason: "completed",
        exitCode: 0,
        usedMs: 100,
        egressBytes: 0,
      },
      ...{
        lastClaim: lease,
        fuel: "1000",
        fuelMax: order.payload.fuelMax,
        memoryHash: this.id(),
        outputDigest: EMPTY_TREE_DIGEST,
        stdoutDigest: EMPTY_BYTES_DIGEST,
      },
      ...{ stderrDigest: EMPTY_BYTES_DIGEST, stateRoot: null, nonce: this.id(), detail: "" },
      ...over,
    });
  }

  /** A lease as the broker shows it to its customer. */
  view(po: SignedDocument<"purchase-order">, over: Partial<LeaseView> = {}): LeaseView {
    const { orderId, attempt, customer, owner, server, terms, resources, price, durationMsMax, fuelMax, holdNanos, issuedAt } = po.payload;
    const { auditPpm, stakeNanos } = po.payload;
    return {
      ...{
        id: po.id,
        orderId,
        attempt,
        state: "open",
        customer,
        owner,
        server,
        label: "",
        terms,
        resources,
        price,
        durationMsMax,
        fuelMax,
        holdNanos,
      },
      ...{ ratePerHourNanos: "0", issuedAt, openedAt: issuedAt, usedMs: 0, lastAmendment: null, trace: null, result: null, delivery: null },
      ...{ settlement: null, judges: null, draw: null },
      ...{ objection: null, deadlineAt: null, end: null, auditPpm, stakeNanos },
      ...over,
    };
  }

  /** How such a lease ended: completed, and paid in full unless `over` says so. */
  end({ payload }: SignedDocument<"purchase-order">, over: Partial<NonNullable<LeaseView["end"]>> = {}): NonNullable<LeaseView["end"]> {
    return {
      ...{ reason: "completed", blame: "nobody", at: this.now, billableMs: 0, billableFuel: payload.fuelMax, billableEgressBytes: 0 },
      ...{ dueNanos: payload.holdNanos, feeNanos: "0", ownerNanos: payload.holdNanos, refundNanos: "0", exitCode: 0, result: this.id() },
      windowEndsAt: this.now + payload.timings.disputeWindowMs,
      ...{ audited: null, auditRound: null },
      ...over,
    };
  }
}
