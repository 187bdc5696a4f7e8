/** For tests: one document of each kind, for the table of who may sign what. */
import { DEFAULT_TIMINGS } from "@xenoservers/market";
import type { Envelope, Kind, Payload } from "@xenoservers/protocol";
import { DIGEST, newId, newSigner, type Party, type Server, type World } from "./world.fixture.ts";

/** What the documents are about. */
export interface Subject {
  world: World;
  customer: Party;
  server: Server;
  batch: string;
  lease: { lease: string; order: string };
  /** Keys of the customer. */
  device: string;
  revoked: string;
}

type Unsigned<K extends Kind> = Omit<Payload<K>, "origin" | "seen">;

/**
 * One of each kind about the customer, its plain lease and that lease's server, in itself right; some say what is known already, so that
 * nothing changes.
 */
export function payloadsOf({ world, customer, server, batch, lease: plain, device: known, revoked }: Subject): {
  [K in Kind]: Unsigned<K>;
} {
  const { lease, order } = plain;
  const at = world.now;
  const envelope: Envelope = world.sign(newSigner(), "party", {
    party: customer.id,
    name: "p",
    rootKey: DIGEST,
    recoveryKey: null,
  }).envelope;
  const party = customer.id;
  const ofServer = { lease, server: server.id };
  const offer = { ...world.offerOf(server), sequence: 1 };
  const { owner, resources, price } = offer;
  const money = { amountNanos: "0", clientId: newId() };
  const use = { usedMs: 0, egressBytes: 0 };
  const result = {
    lease,
    jobHash: DIGEST,
    engine: "",
    incarnation: 1,
    reason: "completed",
    exitCode: 0,
    lastClaim: DIGEST,
    fuel: "0",
    memoryHash: null,
  } as const;
  const digests = { outputDigest: DIGEST, stdoutDigest: DIGEST, stderrDigest: DIGEST, stateRoot: null, nonce: DIGEST, detail: "" };
  return {
    party: { party, name: "p", rootKey: customer.root.publicKey, recoveryKey: null },
    "key-grant": world.grantOf(customer, known, "server"),
    "key-revoke": { party, key: revoked, reason: "" },
    "key-rotate": { party, newRootKey: known, newRecoveryKey: null },
    login: { party, challenge: DIGEST },
    account: { party, parent: customer.account, name: "B", limitNanos: null, clientId: newId() },
    "account-limit": { party, account: customer.account, limitNanos: null, clientId: newId() },
    payout: { party, destination: "", ...money },
    stake: { party, direction: "deposit", ...money },
    credit: { party, source: "operator", reference: "", ...money },
    suspension: { party, suspended: false, reason: "", clientId: newId() },
    fee: { basisPoints: 0, effectiveAt: at, clientId: newId() },
    ruling: { lease, ownerNanos: "0", reason: "" },
    offer,
    "offer-withdrawal": { owner, server: server.id, sequence: 1 },
    batch: { party, account: customer.account, budgetNanos: "0", expiresAt: at + 600_000, clientId: newId() },
    "batch-close": { party, batch },
    order: world.orderOf(customer),
    "order-withdrawal": { party, order, reason: "" },
    "purchase-order": {
      ...{
        order: envelope,
        offer: envelope,
        fee: null,
        orderId: order,
        offerId: DIGEST,
        slot: 0,
        attempt: 1,
        customer: party,
        account: customer.account,
      },
      ...{
        owner,
        server: server.id,
        serverKey: server.key.publicKey,
        resources,
        price,
        terms: "by-interval",
        durationMsMax: 1,
        fuelMax: "1",
      },
      ...{
        egressMibMax: 0,
        timeBound: "budget",
        fuelBound: "budget",
        holdNanos: "0",
        cancellationNanos: "0",
        feeBasisPoints: 0,
        stakeNanos: "0",
      },
      ...{ auditedBefore: 0, auditPpm: 0, auditReserveNanos: "0" },
      ...{ timings: DEFAULT_TIMINGS, issuedAt: at, acceptBy: at, startBy: at },
    },
    acceptance: ofServer,
    opening: { lease, order, slot: 0, acceptance: DIGEST, at },
    commitment: { ...ofServer, incarnation: 1, result: DIGEST },
    reveal: { lease, order, at },
    claim: { lease, incarnation: 1, sequence: 1, previous: DIGEST, ...use },
    "claim-receipt": { lease, claim: DIGEST, sequence: 1, at, ...use },
    stop: { lease, party, reason: "" },
    extension: { lease, party, durationMsMax: 1, previous: DIGEST },
    amendment: { lease, extension: envelope, durationMsMax: 1, holdNanos: "0", previous: DIGEST, at },
    handover: { lease, previous: DIGEST, server: server.id, to: server.id, lastClaim: DIGEST },
    takeover: { ...ofServer, handover: envelope, offer: envelope },
    move: { lease, takeover: envelope, previous: DIGEST, at },
    closing: { lease, reason: "completed", at, lastClaim: null },
    result: { ...result, ...digests, ...use, server: server.id, fuelMax: "1" },
    delivery: { lease, result: DIGEST, sealed: null },
    settlement: {
      ...{
        lease,
        result: null,
        closing: DIGEST,
        reason: "completed",
        blame: "nobody",
        billableMs: 0,
        billableFuel: "0",
        billableEgressBytes: 0,
      },
      ...{ dueNanos: "0", feeNanos: "0", ownerNanos: "0", refundNanos: "0", windowEndsAt: at, audited: null, auditRound: null, at },
    },
    objection: { lease, party, expectedDueNanos: "0", reason: "" },
    "audit-round": { epoch: newId(), round: 1, commitment: DIGEST, from: at, until: at, previous: null },
    "audit-reveal": { auditRound: DIGEST, round: 1, secret: DIGEST, to: at },
    gap: { from: 0, to: 1 },
    referee: { server: server.id, active: false, clientId: newId() },
    witness: { name: "w", key: DIGEST, active: false, clientId: newId() },
    "trace-request": { lease, party, step: "1" },
    trace: { ...ofServer, request: DIGEST, jobHash: DIGEST, engine: "", step: "1", roots: [], detail: "" },
    dispute: { lease, party, refereeLease: lease, segment: null, ruling: null },
    verdict: {
      ...{ lease, server: server.id, owner, referee: server.id, result: envelope, ruling: envelope, trace: null, segment: null, why: "" },
      ...{ refundNanos: "0", slashedNanos: "0", slashedTo: party, round: 1, at },
    },
    draw: { lease, round: 1, referee: server.id, candidates: [server.id], passed: [], at },
    appeal: { lease, party, refereeLease: lease },
    review: {
      ...{ lease, server: server.id, owner, referee: server.id, round: 1, verdict: DIGEST, ruling: envelope, overturned: false },
      ...{ why: "", at },
    },
    "market-keys": { keys: world.services.market.keys, sequence: 1 },
    epoch: { epoch: newId(), previous: null, reason: "", at },
  };
}
