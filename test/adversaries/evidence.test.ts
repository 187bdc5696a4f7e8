/** What convicts by signatures alone: brokers, servers and customers who say two things; and what must not convict the honest. */
import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import {
  EVIDENCE_FORMAT,
  leafHash,
  parseDocument,
  leafBytes,
  logOrigin,
  rootOfLeaves,
  signCheckpoint,
  signDocument,
  toBase64,
  toHex,
  utf8,
  zPromise,
  type Envelope,
  type Kind,
  type Payload,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import {
  checkPurchaseOrder,
  contradictionIn,
  findContradiction,
  packBrokenPromise,
  packContradiction,
  verifyEvidence,
} from "@xenoservers/verify";
import { Harness, type ServerParty } from "../desk/harness.ts";
import type { Identity } from "@xenoservers/sdk";
import { sequence } from "@xenoservers/xenocorp/parts";

let h: Harness;
let customer: Identity;
let server: ServerParty;
let lease: string;
let documents: Envelope[];
const zero = "00".repeat(32);

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(10_000_000n);
  server = await h.server();
  lease = (await h.submit(h.order(customer)))["lease"] as string;
  await h.accept(server, lease);
  await h.act(server.signer, "claim", {
    lease,
    incarnation: 5,
    sequence: 1,
    usedMs: 0,
    egressBytes: 0,
    previous: (await h.lease(lease)).openingId!,
  });
  documents = (await h.store.documentsOf(lease)).map(({ envelope }) => envelope);
});

const of = <K extends Kind>(kind: K): Payload<K> => {
  for (const envelope of documents) {
    const parsed = parseDocument(nodeCrypto, envelope);
    if (parsed.ok && parsed.document.kind === kind) return parsed.document.payload as Payload<K>;
  }
  throw new Error(`no ${kind}`);
};
const signer = {
  broker: () => h.keys.purchaseOrders,
  receipts: () => h.keys.receipts,
  server: () => server.signer,
  customer: () => customer.signer,
};
const again = <K extends Kind>(by: keyof typeof signer, kind: K, over: Partial<Payload<K>>): Envelope =>
  signDocument(nodeCrypto, signer[by](), kind, { ...of(kind), ...over } as Payload<K>).envelope;
const convicts = (evidence: unknown): boolean => verifyEvidence(nodeCrypto, structuredClone(evidence), h.market).ok;
const packing = () => ({ crypto: nodeCrypto, market: h.market, history: { keySets: [], epochs: [], witnesses: [] } });
/** What gives both parties' keys their roles. */
const grants = (): Envelope[] => [...h.grants];

describe("two documents of one signer", () => {
  it("an honest lease holds no contradiction, and the same document twice is none", () => {
    expect(documents.length).toBeGreaterThanOrEqual(6);
    expect(findContradiction(nodeCrypto, documents)).toBeNull();
    expect(findContradiction(nodeCrypto, [...documents, ...documents])).toBeNull();
  });

  it.each([
    ["a broker that sells one slot to two servers", () => again("broker", "purchase-order", { server: `s_${"1".repeat(40)}` }), "broker"],
    [
      "a broker that changes the price",
      () => again("broker", "purchase-order", { price: { ...of("purchase-order").price, vcpuNanosPerSecond: "9" } }),
      "broker",
    ],
    ["a broker that opens a lease at two times", () => again("broker", "opening", { at: 1 }), "broker"],
    ["a broker that receipts two claims as one", () => again("receipts", "claim-receipt", { usedMs: 9 }), "broker"],
    ["a server that claims two things under one number", () => again("server", "claim", { usedMs: 9 }), "server"],
    ["a customer that orders two things under one client id", () => again("customer", "order", { durationMsMax: 5 }), "customer"],
  ])("convicts %s", (_name, lie, who) => {
    const pair = findContradiction(nodeCrypto, [...documents, lie()]);
    expect(pair).not.toBeNull();
    expect(contradictionIn(nodeCrypto, ...pair!)).toMatchObject({ who });
    const evidence = packContradiction(packing(), pair!, grants());
    expect(convicts(evidence)).toBe(true);
    // to whoever does not know the market it proves nothing
    expect(verifyEvidence(nodeCrypto, evidence, null).ok).toBe(false);
    const changed = structuredClone(evidence)!;
    changed.second.payload = changed.second.payload.replace(
      /^(.{20})(.)/,
      (_all, head: string, letter: string) => head + (letter === "A" ? "B" : "A"),
    );
    expect(convicts(changed)).toBe(false);
    expect(packContradiction(packing(), [pair![0], pair![0]], grants())).toBeNull();
  });

  it("convicts a server of two results that differ, and not one that ran the job again", () => {
    const result: Payload<"result"> = {
      origin: h.origin,
      seen: null,
      lease,
      server: server.id,
      jobHash: zero,
      engine: "e",
      incarnation: 1,
      reason: "completed",
      exitCode: 0,
      usedMs: 1,
      egressBytes: 0,
      lastClaim: zero,
      fuelMax: "1000000000000",
      fuel: "1",
      memoryHash: zero,
      outputDigest: zero,
      stdoutDigest: zero,
      stderrDigest: zero,
      stateRoot: null,
      nonce: zero,
      detail: "",
    };
    const sign = (over: Partial<Payload<"result">>): Envelope =>
      signDocument(nodeCrypto, server.signer, "result", { ...result, ...over }).envelope;
    expect(findContradiction(nodeCrypto, [sign({}), sign({ nonce: toHex(randomBytes(32)), usedMs: 7, incarnation: 2 })])).toBeNull();
    expect(findContradiction(nodeCrypto, [sign({}), sign({ stdoutDigest: "11".repeat(32) })])).not.toBeNull();
  });

  it("does not convict a server that lost its disk: it goes on under another incarnation", () => {
    const after = again("server", "claim", { incarnation: 6, usedMs: 9 });
    expect(findContradiction(nodeCrypto, [...documents, after])).toBeNull();
  });

  it("does not convict anyone by what another key signed", () => {
    const stranger = createSigner(randomBytes(32));
    const forged = signDocument(nodeCrypto, stranger, "claim", { ...of("claim"), usedMs: 9 }).envelope;
    expect(findContradiction(nodeCrypto, [...documents, forged])).toBeNull();
  });
});

describe("an order", () => {
  it("cannot be denied by its customer, nor made up by the broker", async () => {
    const rows = await h.store.load("key", [customer.signer.publicKey, server.signer.publicKey]);
    const world = { crypto: nodeCrypto, market: h.market, keyOf: (id: string) => rows.get(id)?.data ?? null };
    const sold = documents.find((envelope) => envelope.payloadType.includes(".purchase-order."))!;
    const checked = checkPurchaseOrder(world, sold);
    expect(checked).toMatchObject({ ok: true, order: { keyid: customer.signer.publicKey } });
    const madeUp = signDocument(nodeCrypto, h.keys.purchaseOrders, "order", { ...of("order"), budgetNanos: "999" });
    const forged = {
      ...madeUp.envelope,
      signatures: [{ ...madeUp.envelope.signatures[0], keyid: customer.signer.publicKey }] as Envelope["signatures"],
    };
    const po = signDocument(nodeCrypto, h.keys.purchaseOrders, "purchase-order", {
      ...of("purchase-order"),
      order: forged,
      orderId: madeUp.id,
    });
    expect(checkPurchaseOrder(world, po.envelope)).toMatchObject({ ok: false, why: expect.stringContaining("bad_signature") });
  });
});

describe("one slot opened twice", () => {
  it("convicts the broker by both purchase orders and openings", () => {
    const [po, opening] = (["purchase-order", "opening"] as const).map((kind) =>
      documents.find((envelope) => envelope.payloadType.includes(`.${kind}.`))!,
    ) as [Envelope, Envelope];
    const second = signDocument(nodeCrypto, h.keys.purchaseOrders, "purchase-order", { ...of("purchase-order"), attempt: 2 });
    const secondOpening = signDocument(nodeCrypto, h.keys.purchaseOrders, "opening", { ...of("opening"), lease: second.id }).envelope;
    const evidence = { format: EVIDENCE_FORMAT, kind: "sold-twice", documents: [po, opening, second.envelope, secondOpening] };
    expect(convicts(evidence)).toBe(true);
    expect(convicts({ ...evidence, documents: [po, opening, po, opening] })).toBe(false);
    expect(convicts({ ...evidence, documents: [po, opening, second.envelope, opening] })).toBe(false);
  });
});

describe("a promise", () => {
  it("is of the epoch that the broker signs in, and kept by its log", async () => {
    const answer = await h.submit(h.order(customer));
    const promise = zPromise.parse(answer["promise"]);
    const { epoch } = h.desk.services.log.seen;
    expect(promise).toMatchObject({ origin: h.origin, epoch });
    while ((await sequence(h.desk.services)) > 0);
    const head = await h.store.logHead();
    const entries = await h.store.logEntries(0, head!.size);
    const leaves = entries.map((document) => leafBytes(nodeCrypto, document, document.at, document.salt));
    expect((await h.store.logIndexesOf([promise.leaf])).size).toBe(1);
    const pack = (of: Uint8Array[], checkpoint: string) => packBrokenPromise(packing(), promise, checkpoint, of, toBase64);
    expect(pack(leaves, head!.checkpoint)).toBeNull();
    // as a broker would have to sign it that drops the order, and goes on
    const dropped = leaves.filter((leaf) => toHex(leafHash(nodeCrypto, leaf)) !== promise.leaf);
    dropped.push(utf8(JSON.stringify({ at: promise.mergeBy + 1 })));
    const root = toHex(
      rootOfLeaves(
        nodeCrypto,
        dropped.map((leaf) => leafHash(nodeCrypto, leaf)),
      ),
    );
    const note = signCheckpoint(nodeCrypto, h.keys.checkpoints, { origin: logOrigin(h.origin, epoch), size: dropped.length, root });
    const evidence = pack(dropped, note);
    expect(convicts(evidence)).toBe(true);
    expect(convicts({ ...evidence, checkpoint: head!.checkpoint })).toBe(false);
  });

  it("is in every answer, and its epoch in every document that the broker signs", async () => {
    const { epoch } = h.desk.services.log.seen;
    const signed = documents.flatMap((envelope) => {
      const parsed = parseDocument(nodeCrypto, envelope);
      return parsed.ok && [h.keys.purchaseOrders, h.keys.receipts].some(({ publicKey }) => publicKey === parsed.document.keyid)
        ? [parsed.document.payload.seen?.epoch]
        : [];
    });
    expect(signed.length).toBeGreaterThanOrEqual(3);
    expect(new Set(signed)).toEqual(new Set([epoch]));
  });
});
