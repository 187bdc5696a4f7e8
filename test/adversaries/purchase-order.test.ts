/** The cheating broker: purchase orders that a server must not accept. A real XenoServer against a broker that is this test. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  canonicalBytes,
  fromBase64,
  parseDocument,
  payloadType,
  preAuthEncoding,
  serverIdOf,
  signDocument,
  toBase64,
  type AnyDocument,
  type Envelope,
  type Json,
  type Payload,
  type SignedDocument,
} from "@xenoservers/protocol";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { systemTimers, type Pipe } from "@xenoservers/protocol/link";
import { XenoServer } from "@xenoservers/xenoserver";
import { createMemoryJournal } from "@xenoservers/xenoserver/journal-memory";
import { createSimDriver } from "@xenoservers/xenoserver/sim";
import { Harness } from "../desk/harness.ts";
import { until } from "../process/market.ts";

const broker = createSigner(randomBytes(32));
const pins = { origin: "test/market", keys: { purchaseOrders: broker.publicKey, checkpoints: broker.publicKey, receipts: broker.publicKey } };
const owner = `p_${"1".repeat(40)}`;

let server: XenoServer;
let received: { kind: string; id: string; payload: unknown; envelope: Envelope }[];
let refusals: string[];
let deliver: (documents: Envelope[]) => void;
let key: ReturnType<typeof createSigner>;
let offer: SignedDocument<"offer">;
/** What this broker adds to its answers. */
let answers: (document: AnyDocument) => Record<string, unknown>;

beforeEach(async () => {
  received = [];
  refusals = [];
  answers = () => ({});
  key = createSigner(randomBytes(32));
  let toServer: (text: string) => void = () => {};
  deliver = (documents) => toServer(JSON.stringify({ t: "documents", documents }));
  const pipe: Pipe = {
    send(text) {
      const message = JSON.parse(text as string) as { t: string; ref: number; envelope: unknown };
      if (message.t === "hello") queueMicrotask(() => toServer(JSON.stringify({ t: "welcome", party: owner, live: [] })));
      if (message.t !== "submit") return;
      const parsed = parseDocument(nodeCrypto, message.envelope);
      if (parsed.ok) received.push(parsed.document);
      const more = parsed.ok ? answers(parsed.document) : {};
      queueMicrotask(() => toServer(JSON.stringify({ t: "answer", ref: message.ref, answer: { id: parsed.ok ? parsed.document.id : "", ...more } })));
    },
    close: () => {},
    onMessage: (handler) => void (toServer = handler),
    onClose: () => {},
  };
  const timings = { acceptWithinMs: 1, startWithinMs: 1, claimIntervalMs: 1, graceMs: 1, disputeWindowMs: 1 };
  server = new XenoServer({
    crypto: nodeCrypto,
    signer: key,
    channelKey: channelKeyPair(),
    pins: () => pins,
    timers: systemTimers,
    journal: createMemoryJournal(),
    driver: createSimDriver(systemTimers),
    vms: null,
    retainMs: 1,
    log: (what, facts) => void (what.includes("refused") && refusals.push(String(facts["why"]))),
    owner,
    connect: async () => {
      queueMicrotask(() =>
        queueMicrotask(() =>
          toServer(
            JSON.stringify({
              t: "challenge",
              challenge: "00".repeat(32),
              market: {
                ...pins,
                currency: "c",
                operatorKey: "",
                epoch: 1,
                feeBasisPoints: 0,
                referees: [],
                witnesses: [],
                mergeDelayMs: 1,
                timings,
                protocol: { min: 1, max: 1 },
                now: 1,
              },
            }),
          ),
        ),
      );
      return pipe;
    },
    listing: {
      resources: { vcpu: 2, memoryMib: 1024, diskMib: 64 },
      price: { vcpuNanosPerSecond: 1000n, memoryGibNanosPerSecond: 0n, diskGibNanosPerSecond: 0n, gigaFuelNanos: 600n, egressGibNanos: 0n },
      labels: {},
      maxLeaseMs: 3_600_000,
      cpuScore: 1,
      allowedParties: [],
      allowWeakSandbox: false,
      egress: "none",
      fetches: false,
      memoryDiskMib: 4_096,
    },
    listed: () => true,
  });
  await server.start();
  await until(() => received.some(({ kind }) => kind === "offer"));
  offer = received.find(({ kind }) => kind === "offer") as unknown as SignedDocument<"offer">;
});
afterEach(() => server.close());

const harness = new Harness();

async function purchaseOrder(
  over: Partial<Payload<"purchase-order">> = {},
  orderOver: Partial<Payload<"order">> = {},
  signer = broker,
): Promise<SignedDocument<"purchase-order">> {
  const customer = await harness.party();
  const order = harness.order(customer, { expiresAt: Date.now() + 60_000, ...orderOver });
  const now = Date.now();
  return signDocument(nodeCrypto, signer, "purchase-order", {
    origin: pins.origin,
    seen: null,
    order: order.envelope,
    offer: offer.envelope,
    orderId: order.id,
    offerId: offer.id,
    slot: 0,
    attempt: 1,
    customer: customer.party,
    account: customer.account,
    owner,
    server: server.id,
    serverKey: key.publicKey,
    resources: order.payload.resources,
    price: offer.payload.price,
    terms: order.payload.terms,
    durationMsMax: 60_000,
    fuelMax: order.payload.fuelMax,
    egressMibMax: order.payload.egressMibMax,
    timeBound: "time-limit",
    fuelBound: "fuel-limit",
    holdNanos: "60000",
    cancellationNanos: "1000",
    feeBasisPoints: 0,
    stakeNanos: "0",
    timings: { acceptWithinMs: 5000, startWithinMs: 5000, claimIntervalMs: 5000, graceMs: 5000, disputeWindowMs: 5000 },
    issuedAt: now,
    acceptBy: now + 5_000,
    startBy: now + 10_000,
    ...over,
  });
}
const acceptances = () => received.filter(({ kind }) => kind === "acceptance");

it("accepts a right one, and a replay only once", async () => {
  const po = await purchaseOrder();
  deliver([po.envelope, po.envelope]);
  deliver([po.envelope]);
  await until(() => acceptances().length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(acceptances()).toHaveLength(1);
});

it.each([
  ["expired", () => purchaseOrder({ acceptBy: Date.now() - 1 }), "acceptBy"],
  ["for another server", () => purchaseOrder({ server: serverIdOf(nodeCrypto, broker.publicKey), serverKey: broker.publicKey }), "server"],
  [
    "at another price",
    () =>
      purchaseOrder({ price: { vcpuNanosPerSecond: "1", memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0", gigaFuelNanos: "1", egressGibNanos: "0" } }),
    "price",
  ],
  ["with more resources than ordered", () => purchaseOrder({ resources: { vcpu: 2, memoryMib: 64, diskMib: 1 } }), "resources"],
  ["with a longer time than the budget pays", () => purchaseOrder({ durationMsMax: 120_000 }), "longest time"],
  ["with more fuel than was ordered", () => purchaseOrder({ fuelMax: "4000000000000" }), "most fuel"],
  ["with another hold", () => purchaseOrder({ holdNanos: "1" }), "hold"],
  ["on other terms", () => purchaseOrder({ terms: "on-result" }), "terms"],
  ["over the order's maximum price", () => purchaseOrder({}, { maxPriceNanosPerHour: "1" }), "maximum price"],
  [
    "for more than the server has",
    async () =>
      purchaseOrder(
        { resources: { vcpu: 64, memoryMib: 64, diskMib: 1 }, holdNanos: "1000000", durationMsMax: 15_625, timeBound: "budget", cancellationNanos: "64000" },
        { resources: { vcpu: 64, memoryMib: 64, diskMib: 1 } },
      ),
    "capacity",
  ],
  ["signed by somebody else", () => purchaseOrder({}, {}, createSigner(randomBytes(32))), "pinned key"],
  ["naming another order than it embeds", () => purchaseOrder({ orderId: "00".repeat(32) }), "orderId"],
])("refuses one %s", async (_name, make, why) => {
  deliver([(await make()).envelope]);
  await until(() => refusals.length > 0);
  expect(refusals[0]).toContain(why);
  expect(acceptances()).toHaveLength(0);
});

it("refuses one whose bytes were changed after signing, wherever", async () => {
  const po = await purchaseOrder();
  const bytes = fromBase64(po.envelope.payload)!;
  for (let i = 0; i < 40; i++) {
    const changed = bytes.slice();
    changed[Math.floor((i / 40) * bytes.length)]! ^= 1;
    deliver([{ ...po.envelope, payload: toBase64(changed) }]);
  }
  const resigned = canonicalBytes({ ...(po.payload as unknown as { [key: string]: Json }), extra: 1 });
  const type = payloadType("purchase-order");
  deliver([
    { payloadType: type, payload: toBase64(resigned), signatures: [{ keyid: broker.publicKey, sig: toBase64(broker.sign(preAuthEncoding(type, resigned))) }] },
  ]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(acceptances()).toHaveLength(0);
});

it.each([
  ["objects to a settlement that pays it less than was agreed", "0", "0", 1],
  ["is content with a right one", "1000", "1000", 0],
])("%s", async (_name, dueNanos, ownerNanos, objections) => {
  const base = { origin: pins.origin, seen: null };
  answers = (document) => {
    if (document.kind === "acceptance")
      return {
        opening: signDocument(nodeCrypto, broker, "opening", { ...base, lease: document.payload.lease, acceptance: document.id, at: Date.now() }).envelope,
      };
    if (document.kind !== "result") return {};
    const { lease } = document.payload;
    const closing = signDocument(nodeCrypto, broker, "closing", { ...base, lease, reason: "input-missing", at: Date.now(), lastClaim: null });
    const refundNanos = String(60_000 - Number(dueNanos));
    const settlement = {
      ...base,
      lease,
      result: document.id,
      closing: closing.id,
      reason: "input-missing" as const,
      blame: "customer" as const,
      billableMs: 0,
      billableFuel: "0",
      billableEgressBytes: 0,
      dueNanos,
      feeNanos: "0",
      ownerNanos,
      refundNanos,
      windowEndsAt: Date.now(),
      at: Date.now(),
    };
    return { closing: closing.envelope, settlement: signDocument(nodeCrypto, broker, "settlement", settlement).envelope };
  };
  const now = Date.now();
  deliver([(await purchaseOrder({ issuedAt: now, acceptBy: now + 200, startBy: now + 300 })).envelope]);
  await until(() => received.some(({ kind }) => kind === "result"));
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(received.filter(({ kind }) => kind === "objection")).toHaveLength(objections);
});
