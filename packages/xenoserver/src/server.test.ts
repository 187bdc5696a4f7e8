/** A lease on a real server against a broker and a customer of this package's own, honest and not, on a simulated clock. */
import { beforeEach, describe, expect, it } from "vitest";
import { Random, SimClock, collected } from "@xenoservers/testkit";
import { NOT_AUDITED, FUEL_PER_HOST_SECOND_MAX, TERMS, type EndReason } from "@xenoservers/market";
import { isOfKind, parseDocumentOf, serverIdOf, type Kind, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { openSealed, sealResult, type ResultShape } from "@xenoservers/protocol/sealed";
import { CHEATS, cheatingDriver } from "./cheats.ts";
import { FakeCustomer, fakeJob, type FakeJob, type Manner } from "./testing/fake-customer.ts";
import { FakeMarket, TIMINGS } from "./testing/fake-market.ts";
import { LISTING, ROOM, TestServer } from "./testing/test-server.ts";

const START = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

let clock: SimClock;
let market: FakeMarket;
let test: TestServer;

async function until(condition: () => boolean, withinMs = HOUR_MS): Promise<void> {
  await clock.runUntil(clock.now() + withinMs, condition);
  expect(condition(), `${condition}\n${test.log.map((line) => JSON.stringify(line)).join("\n")}`).toBe(true);
}
const passing = (ms: number): Promise<void> => clock.runUntil(clock.now() + ms);
const handedIn = <K extends Kind>(kind: K): Payload<K>[] => market.received.flatMap((each) => (isOfKind(each, kind) ? [each.payload] : []));
const reasons = (): string[] => handedIn("result").map(({ reason }) => reason);

beforeEach(async () => {
  clock = new SimClock(START, new Random(1));
  market = new FakeMarket(clock);
  test = new TestServer(market);
  await test.server.start();
  await until(() => handedIn("offer").length === 1);
});

const place = (job: FakeJob, said: Parameters<FakeMarket["place"]>[0] | object = {}): string =>
  market.place({ jobHash: job.jobHash, ...said });

async function ordered(job: FakeJob, manner: Manner = "signs", said: object = {}): Promise<{ lease: string; customer: FakeCustomer }> {
  const lease = place(job, said);
  const customer = new FakeCustomer(market, lease, job, manner);
  await until(() => test.stage(lease) !== undefined);
  void customer.attach();
  return { lease, customer };
}

describe("an honest lease", () => {
  it("runs, shows its result before it is handed in, and goes with its customer's word", async () => {
    const { lease, customer } = await ordered(fakeJob(["run", 25_000, 3, "hello"]));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease)).toMatchObject({
      state: "settled",
      delivery: { by: "customer" },
      end: { reason: "completed", billableFuel: "250000000000" },
    });
    expect(customer.stdout).toBe("hello");
    expect(handedIn("claim").length).toBe(2);
    expect(market.sealed.size).toBe(0);
    expect(test.said("a document does not follow")).toEqual([]);
    // the server's own fold is the broker's
    expect((await test.record(lease))?.held).toEqual([]);
  });

  it("begins with the channel that its customer opened while its purchase order was still looked at", async () => {
    const disk = Promise.withResolvers<number>();
    await test.server.close();
    test = new TestServer(market, { room: { ...ROOM, freeBytes: () => disk.promise } });
    await test.server.start();
    await until(() => handedIn("offer").length === 2);
    const job = fakeJob(["run", 1_000, 0, "x"]);
    const lease = place(job);
    const customer = new FakeCustomer(market, lease, job);
    void customer.attach();
    await passing(1_000);
    expect(test.stage(lease)).toBeUndefined();
    disk.resolve(1e9);
    await until(() => test.stage(lease) === "over");
    expect(customer.stdout).toBe("x");
  });

  it("is looked through, for what is kept of it, when it is over, and not when the next one comes; its opening is written once", async () => {
    const looked: string[] = [];
    const { bytes, save } = test.journal;
    let saves = 0;
    test.journal.bytes = (record) => (looked.push(record.lease), bytes(record));
    test.journal.save = (record) => (saves++, save(record));
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    await passing(60_000);
    const before = looked.length;
    expect(before).toBeGreaterThan(0);
    saves = 0;
    const next = place(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.stage(next) === "waiting");
    expect(looked.slice(before)).toEqual([]);
    // the acceptance before it was sent, and what came of it
    expect(saves).toBe(2);
  });

  it("keeps its facts small: claims that later ones have overtaken are left out, and a restarted daemon folds on", async () => {
    const { lease } = await ordered(fakeJob(["run", 900_000, 0, "x"]), "signs", { durationMsMax: 1_000_000, terms: "by-interval" });
    await until(() => handedIn("claim").length === 70);
    await passing(100);
    const record = await test.record(lease);
    expect(record?.facts.length).toBeLessThan(60);
    expect(record?.base?.lease.openedAt).toBe(market.lease(lease).openedAt);
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed", billableMs: 900_000 });
  });

  it("of replicas commits first, and shows its result once they are revealed", async () => {
    const { lease, customer } = await ordered(fakeJob(["run", 1_000, 0, "x"]), "signs", {
      replicas: 2,
      assurance: "replicated",
      budgetNanos: "2000000000",
    });
    await until(() => market.lease(lease).state === "committed");
    await passing(5_000);
    expect(customer.of("ended")).toEqual([]);
    expect(customer.stdout).toBe("");
    market.issue("reveal", { lease, order: market.lease(lease).orderId, at: clock.now() });
    await until(() => test.stage(lease) === "over");
    expect(customer.stdout).toBe("x");
    expect(market.lease(lease)).toMatchObject({ state: "settled", delivery: { by: "customer" } });
  });

  it.each([
    ["that it bought", 40_000, 0],
    ["that its broker should not have sold, which is said", 20_001, 1],
  ])("runs longer after an amendment, and ends by the time %s", async (_, durationMsMax, said) => {
    const job = fakeJob(["run", 100_000, 0, "x"]);
    const { lease } = await ordered(job, "signs", { terms: "by-interval", durationMsMax: 20_000 });
    await until(() => test.stage(lease) === "running");
    const extension = market.sign(market.customer.signer, "extension", {
      lease,
      party: market.customer.party,
      durationMsMax,
      previous: lease,
    });
    market.file(extension);
    market.issue("amendment", {
      lease,
      extension: extension.envelope,
      durationMsMax,
      holdNanos: String(durationMsMax),
      previous: lease,
      at: clock.now(),
    });
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "time-limit", billableMs: durationMsMax });
    expect(test.said("the broker took an extension that is too short")).toHaveLength(said);
  });

  it("is over here, with its guest, once it is at another server of its owner", async () => {
    test = new TestServer(market, {}, (driver) => ({ ...driver, name: "qemu" }));
    await test.server.start();
    await until(() => handedIn("offer").some(({ drivers }) => drivers.includes("qemu")));
    const lease = place(fakeJob(["run", 900_000, 0, "x"]), { driver: "qemu", terms: "by-interval" });
    await until(() => test.stage(lease) === "waiting");
    const other = createSigner(new Uint8Array(32).fill(8));
    market.owner.grants.push(market.grant(market.owner, other.publicKey, "server"));
    const [server, to] = [test.server.id, serverIdOf(nodeCrypto, other.publicKey)];
    const [first] = handedIn("offer").slice(-1);
    const { acceptance, openingId } = market.lease(lease);
    const previous = acceptance ?? "";
    const handover = market.sign(market.serverSigner, "handover", { lease, previous, server, to, lastClaim: openingId ?? "" });
    const offer = market.sign(other, "offer", { ...first!, server: to });
    const takeover = market.sign(other, "takeover", { lease, server: to, handover: handover.envelope, offer: offer.envelope });
    market.file(takeover);
    market.issue("move", { lease, takeover: takeover.envelope, previous, at: clock.now() });
    await until(() => test.stage(lease) === "over");
    expect(test.said("lease over").map(({ why }) => why)).toEqual(["moved to another server of its owner"]);
    expect(handedIn("result")).toEqual([]);
    expect(market.lease(lease)).toMatchObject({ state: "open", server: to });
  });

  it("begins once it can be kept, where a full disk has room again in time; else nothing of it stays", async () => {
    const { save } = test.journal;
    test.journal.save = () => Promise.reject(new Error("ENOSPC: no space left on device"));
    const job = fakeJob(["run", 1_000, 0, "x"]);
    const late = place(job);
    await passing(TIMINGS.acceptWithinMs + 1_000);
    expect([test.server.state.leases, test.said("a lease cannot be kept here now")[0]]).toMatchObject([[], { lease: late }]);
    const lease = place(job);
    await passing(TIMINGS.acceptWithinMs / 2);
    test.journal.save = save;
    await until(() => test.stage(lease) === "waiting");
    void new FakeCustomer(market, lease, job, "signs").attach();
    await until(() => market.lease(lease).end !== null);
    expect(market.lease(lease).end).toMatchObject({ reason: "completed" });
    await until(() => test.server.state.leases.every(({ lease: id }) => id === lease));
  });

  it("is taken by none that has gone away before it could be kept", async () => {
    const { save } = test.journal;
    test.journal.save = () => Promise.reject(new Error("ENOSPC: no space left on device"));
    const lease = place(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.said("a lease cannot be kept here now").length === 1);
    test.journal.save = save;
    await test.server.close();
    await passing(TIMINGS.acceptWithinMs);
    expect(await test.record(lease)).toBeUndefined();
  });

  it("is stopped by its customer", async () => {
    const { lease } = await ordered(fakeJob(["run", 50_000, 0, "part"]), "silent", { terms: "by-interval" });
    await until(() => test.stage(lease) === "running");
    await passing(5_000);
    market.file(market.sign(market.customer.signer, "stop", { lease, party: market.customer.party, reason: "" }));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end?.reason).toBe("customer-stop");
  });

  it("says that the inputs are missing only when the customer's time is over", async () => {
    const lease = place(fakeJob(["run", 1, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "input-missing", blame: "customer" });
    expect(clock.now()).toBeGreaterThanOrEqual(market.lease(lease).startBy);
  });
});

describe("whose signature counts", () => {
  const stranger = () => market.newParty(77);

  it("does nothing for a stop that is signed by a stranger's key, for the lease's customer or its owner", async () => {
    const { lease } = await ordered(fakeJob(["run", 30_000, 0, "x"]));
    await until(() => test.stage(lease) === "running");
    const other = stranger();
    for (const party of [market.customer.party, market.owner.party, other.party]) {
      const { envelope } = market.sign(other.signer, "stop", { lease, party, reason: "" });
      market.push([{ envelope, at: clock.now() }], [...market.grants, ...other.grants]);
    }
    await passing(1_000);
    expect(test.stage(lease)).toBe("running");
    expect(test.said("a document was not obeyed")).toHaveLength(3);
    await until(() => test.stage(lease) === "over");
    expect(reasons()).toEqual(["completed"]);
  });

  it("obeys no broker's document of another key, and none that the fold refuses", async () => {
    const { lease } = await ordered(fakeJob(["run", 60_000, 0, "x"]), "signs", { terms: "by-interval", durationMsMax: 90_000 });
    await until(() => test.stage(lease) === "running");
    const at = clock.now();
    const other = stranger();
    const extension = market.sign(other.signer, "extension", { lease, party: other.party, durationMsMax: 3_000_000, previous: lease });
    const amendment = { lease, extension: extension.envelope, durationMsMax: 3_000_000, holdNanos: "1", previous: lease, at };
    const closing = { lease, reason: "server-unreachable" as const, at, lastClaim: null };
    const { orderId: order } = market.lease(lease);
    const push = (...documents: { envelope: Payload<"amendment">["extension"] }[]) =>
      market.push(
        documents.map(({ envelope }) => ({ envelope, at })),
        [...market.grants, ...other.grants],
      );
    // by a stranger, by the broker's wrong key, by the broker's right key and against the fold
    for (const signer of [other.signer, market.keys.checkpoints, market.keys.purchaseOrders, market.keys.receipts])
      push(
        market.sign(signer, "amendment", amendment),
        market.sign(signer, "closing", closing),
        market.sign(signer, "reveal", { lease, order, at }),
      );
    push(market.sign(market.customer.signer, "trace-request", { lease, party: market.customer.party, step: "1" }));
    push(market.sign(other.signer, "trace-request", { lease, party: other.party, step: "1" }));
    await passing(10_000);
    expect(test.stage(lease)).toBe("running");
    expect((await test.record(lease))?.held.map(({ kind }) => kind).toSorted()).toEqual([
      "amendment",
      "closing",
      "reveal",
      "trace-request",
    ]);
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "completed", billableMs: 60_000 });
    expect(handedIn("trace")).toEqual([]);
  });

  it("ends by a stop of its owner, whose key was granted after the lease began", async () => {
    const { lease } = await ordered(fakeJob(["run", 30_000, 0, "x"]));
    await until(() => test.stage(lease) === "running");
    const device = market.newParty(78);
    market.owner.grants.push(market.grant(market.owner, device.signer.publicKey, "device"));
    market.file(market.sign(device.signer, "stop", { lease, party: market.owner.party, reason: "" }));
    await until(() => test.stage(lease) === "over");
    expect(reasons()).toEqual(["owner-stop"]);
  });
});

describe("a settlement that is wrong", () => {
  const cheat = (change: Partial<Payload<"settlement">>, reason?: EndReason) => {
    market.instead = (document) => {
      if (!isOfKind(document, "result")) return null;
      market.instead = () => null;
      const at = clock.now();
      const { lease } = document.payload;
      const stated = reason ?? document.payload.reason;
      const closing = market.sign(market.keys.receipts, "closing", {
        lease,
        reason: stated,
        at,
        lastClaim: market.lease(lease).lastClaim?.id ?? null,
      });
      const { blame } = TERMS[stated];
      const settlement = market.sign(market.keys.receipts, "settlement", {
        ...NOT_AUDITED,
        ...{
          lease,
          result: document.id,
          closing: closing.id,
          reason: stated,
          blame,
          billableMs: 0,
          billableFuel: "0",
          billableEgressBytes: 0,
        },
        ...{
          dueNanos: "0",
          feeNanos: "0",
          ownerNanos: "0",
          refundNanos: market.lease(lease).holdNanos,
          windowEndsAt: at + TIMINGS.disputeWindowMs,
          at,
        },
        ...change,
      });
      return { ok: true, answer: { id: document.id, at, closing: closing.envelope, settlement: settlement.envelope } };
    };
  };

  it.each([
    ["pays less than was agreed", { billableMs: 1 }, undefined],
    ["calls a completed job the server's failure", {}, "server-failed" as const],
  ])("%s: it is not accepted, kept, and objected to", async (_name, change, reason) => {
    const { lease } = await ordered(fakeJob(["run", 10_000, 0, "x"]), "signs", { terms: "by-interval" });
    await until(() => test.stage(lease) === "running");
    cheat(change, reason);
    await until(() => handedIn("objection").length > 0);
    expect(handedIn("objection")[0]).toMatchObject({ lease, party: market.owner.party, expectedDueNanos: "10000" });
    const record = await test.record(lease);
    expect(record?.held.map(({ kind }) => kind)).toContain("settlement");
    expect(test.said("the settlement is wrong")).toHaveLength(1);
    await passing(60_000);
    expect(handedIn("objection")).toHaveLength(1);
  });

  it("is none where the server itself had missed what explains it", async () => {
    const { lease } = await ordered(fakeJob(["run", 30_000, 0, "x"]), "signs", { terms: "by-interval" });
    await until(() => test.stage(lease) === "running");
    market.pushes = false; // the stop is lost on the way, and so is the end of it
    market.file(market.sign(market.customer.signer, "stop", { lease, party: market.customer.party, reason: "" }));
    await passing(TIMINGS.graceMs);
    market.settleIfOver(lease);
    await until(() => test.stage(lease) === "over");
    await passing(60_000);
    expect(handedIn("objection")).toEqual([]);
    expect((await test.record(lease))?.held ?? []).toEqual([]);
  });
});

const NONE = new Uint8Array(0);

describe("its own offers bind it", () => {
  const isOffer = ({ kind }: { kind: Kind }): boolean => kind === "offer";

  it("though the broker was not sure whether it took the last one", async () => {
    market.instead = (document) => {
      if (isOfKind(document, "offer")) market.bind(document);
      return { ok: false, code: "unavailable", facts: {} };
    };
    void test.server.relist();
    await until(() => handedIn("offer").length === 2);
    await passing(100);
    market.instead = () => null;
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    expect(test.said("a purchase order was refused")).toEqual([]);
  });

  it("though the daemon was started again since", async () => {
    market.instead = (document) => (isOffer(document) ? { ok: false, code: "unavailable", facts: {} } : null);
    await test.restart();
    await until(() => handedIn("offer").length > 1);
    market.instead = () => null;
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
  });

  it("also before the daemon that was started since has signed one, or where it cannot", async () => {
    test.journal.nextOfferSequence = () => new Promise(() => {});
    await test.restart();
    await until(() => test.server.state.connected);
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    expect(test.said("a purchase order was refused")).toEqual([]);
  });

  it("though the broker was killed before it said what it had bound, and takes another as the link comes up, and one more", async () => {
    market.pushes = false;
    market.instead = (document) => (isOffer(document) ? market.LATER : null);
    void test.server.relist();
    await until(() => handedIn("offer").length === 2);
    const job = fakeJob(["run", 1_000, 0, "x"]);
    const lease = place(job);
    market.goAway();
    await until(() => !test.server.state.connected);
    Object.assign(market, { instead: () => null, pushes: true, live: market.log.get(lease) });
    market.comeBack();
    await until(() => handedIn("offer").length === 4);
    await until(() => test.said("listed").length === 3);
    await until(() => test.stage(lease) !== undefined, TIMINGS.acceptWithinMs);
    expect(test.said("a purchase order was refused")).toEqual([]);
  });

  it("and what comes with a link does not wait until the next is answered, before which its daemon may be killed once more", async () => {
    market.pushes = false;
    const lease = place(fakeJob(["run", 1_000, 0, "x"]));
    Object.assign(market, { live: market.log.get(lease), instead: (each: { kind: Kind }) => (isOffer(each) ? market.LATER : null) });
    await test.restart();
    await until(() => test.stage(lease) !== undefined, TIMINGS.acceptWithinMs);
    await until(() => handedIn("offer").length === 2);
    await test.restart();
    expect(test.stage(lease)).toBeDefined();
  });

  it("and one at a time waits for its answer, however often the link falls", async () => {
    market.instead = (document) => (isOffer(document) ? market.LATER : null);
    for (let i = 0; i < 20; i++) void test.server.relist();
    await passing(1_000);
    expect(handedIn("offer").length).toBe(2);
    market.instead = () => null;
  });

  it("and one that waits for its answer as the daemon goes away is not said to be refused", async () => {
    market.instead = (document) => (isOffer(document) ? market.LATER : null);
    void test.server.relist();
    await until(() => handedIn("offer").length === 2);
    await test.server.close();
    await passing(1_000);
    expect(test.said("the offer was refused")).toEqual([]);
  });

  it("and it counts on from what the broker has seen", async () => {
    market.instead = (document) => (isOffer(document) ? { ok: false, code: "stale_sequence", facts: { sequence: 2, known: 41 } } : null);
    void test.server.relist();
    await until(() => handedIn("offer").length === 2);
    await passing(100);
    market.instead = () => null;
    await until(() => handedIn("offer").length > 2);
    expect(handedIn("offer").map(({ sequence }) => sequence)).toEqual([1, 2, 42]);
  });
});

describe("pay follows delivery", () => {
  it("seals at once for a customer that is not attached, and for no other", async () => {
    const sealing: { key: string; context: Parameters<typeof sealResult>[1]; shape: ResultShape; pieces: Uint8Array[] }[] = [];
    await test.server.close();
    const encrypt: typeof sealResult = async function* (key, context, shape, bytes) {
      sealing.push({ key, context, shape, pieces: await collected(bytes) });
      yield new Uint8Array(64);
    };
    test = new TestServer(market, { encrypt });
    await test.server.start();
    await until(() => handedIn("offer").length === 2);
    const { lease, customer } = await ordered(fakeJob(["run", 8_000, 0, "for later"]));
    await until(() => test.stage(lease) === "running");
    customer.channel?.close();
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease)).toMatchObject({ delivery: { by: "broker" }, end: { reason: "completed" } });
    expect(market.lease(lease).delivery?.at).toBeLessThan((market.lease(lease).result?.at ?? 0) + 100);
    // real ciphers take their time by another clock than the market's
    const [what] = sealing;
    if (!what) throw new Error("nothing was sealed");
    async function* again(): AsyncGenerator<Uint8Array> {
      yield* what?.pieces ?? [];
    }
    const parts = await collected(sealResult(what.key, what.context, what.shape, again()));
    const open = (key: Uint8Array, result: string) => openSealed(nodeCrypto, key, { lease, result }, async (part) => parts[part] ?? NONE);
    const result = market.lease(lease).result?.id ?? "";
    const bytes = await open(market.customer.channelKey.secretKey, result);
    expect(Buffer.from(bytes?.stdout ?? []).toString()).toBe("for later");
    expect(bytes?.files.size).toBe(1);
    expect(await open(market.owner.channelKey.secretKey, result)).toBeNull();
  });

  it("waits for an attached one that says nothing, but not for long", async () => {
    const { lease, customer } = await ordered(fakeJob(["run", 1_000, 0, "x"]), "silent");
    await until(() => customer.of("ended").length > 0);
    const shownAt = clock.now();
    expect(market.lease(lease).result).toBeNull();
    await until(() => market.lease(lease).result !== null);
    expect(clock.now() - shownAt).toBeGreaterThanOrEqual(4_900);
    expect(clock.now() - shownAt).toBeLessThan(7_000);
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).delivery?.by).toBe("broker");
  });

  it("waits on for one that takes the bytes slowly, within a bound", async () => {
    const { lease, customer } = await ordered(fakeJob(["run", 1_000, 0, "x"]), "silent");
    await until(() => customer.of("ended").length > 0);
    const shownAt = clock.now();
    for (let i = 0; i < 6; i++) {
      await passing(4_000);
      if (market.lease(lease).result === null) expect(i).toBeLessThan(4);
      void customer.channel?.send({ t: "want", digest: "ab".repeat(32), offset: 0, length: 1 });
    }
    expect((market.lease(lease).result?.at ?? 0) - shownAt).toBeGreaterThan(10_000);
    expect((market.lease(lease).result?.at ?? 0) - shownAt).toBeLessThan(TIMINGS.graceMs);
  });

  it("hands in a word that comes late, while the broker still waits", async () => {
    await test.server.close();
    test = new TestServer(market, { encrypt: async function* () {} }); // nothing can be sealed here
    await test.server.start();
    await until(() => handedIn("offer").length === 2);
    const { lease, customer } = await ordered(fakeJob(["run", 1_000, 0, "x"]), "silent");
    await until(() => test.stage(lease) === "delivering");
    await passing(20_000);
    const [ended] = customer.of("ended");
    if (!ended) throw new Error("the result was not shown");
    const forged = customer.word(ended.result, market.newParty(79));
    customer.channel?.send({ t: "delivered", delivery: forged });
    await until(() => customer.of("problem").length > 0);
    expect(market.lease(lease).state).toBe("delivering");
    customer.channel?.send({ t: "delivered", delivery: customer.word(ended.result) });
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease)).toMatchObject({ delivery: { by: "customer" }, end: { reason: "completed" } });
  });

  it("ends unpaid, and by its own bound, where the bytes are neither delivered nor sealed", async () => {
    await test.server.close();
    test = new TestServer(market, {}, (driver) => cheatingDriver(CHEATS["withhold-bytes"] ?? { says: "" }, driver));
    await test.server.start();
    await until(() => handedIn("offer").length === 2);
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]), "silent");
    await until(() => test.stage(lease) === "delivering");
    market.pushes = false;
    await passing(TIMINGS.deliverWithinMs);
    market.settleIfOver(lease);
    expect(market.lease(lease).end).toMatchObject({ reason: "not-delivered", ownerNanos: "0" });
    await until(() => test.stage(lease) === "over");
    expect(test.said("the result could not be sealed")).toHaveLength(1);
  });

  it("is not waited for by interval, nor where there are no bytes", async () => {
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]), "silent", { terms: "by-interval" });
    await until(() => test.stage(lease) === "over");
    expect(clock.now() - (market.lease(lease).openedAt ?? 0)).toBeLessThan(3_000);
    expect(handedIn("delivery")).toEqual([]);
  });
});

describe("blame for what the customer brings", () => {
  it.each([
    ["cannot be read here", fakeJob(["refuse", "a mount lies inside a file"]), {}, "a mount lies inside a file"],
    ["does not fit", fakeJob(["run", 1, 0, "x"], { memoryMibMax: 65 }), {}, "more memory"],
    ["was made for another engine", fakeJob(["run", 1, 0, "x"], { engine: "other" }), {}, "engine"],
    ["is not the one that was ordered", fakeJob(["run", 1, 0, "x"]), { jobHash: "11".repeat(32) }, "not the one that was ordered"],
  ])("a job that %s is refused at once and in words", async (_name, job, said, why) => {
    const { lease } = await ordered(job, "signs", said);
    await until(() => test.stage(lease) === "over");
    expect(clock.now() - market.lease(lease).issuedAt).toBeLessThan(2_000);
    expect(market.lease(lease).end).toMatchObject({ reason: "job-refused", blame: "customer", billableMs: 0 });
    expect(handedIn("result")[0]?.detail).toContain(why);
  });

  it.each([
    [
      "files in memory beyond what there is",
      { listing: { ...LISTING, memoryDiskMib: 8 } },
      "keeps files of wasm jobs in memory and has 8 MiB",
    ],
    ["more room while what is kept of it takes all that one may", { room: { ...ROOM, keptBytesOfOneMax: -1 } }, "kept for its customer"],
  ])("an order that asks for %s is turned away, and no miss of the server's", async (_name, options, why) => {
    await test.server.close();
    test = new TestServer(market, options);
    await test.server.start();
    await until(() => handedIn("offer").length === 2);
    const { lease } = await ordered(fakeJob(["run", 1_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    const { end, cancellationNanos } = market.lease(lease);
    expect(end).toMatchObject({ reason: "job-refused", blame: "customer", dueNanos: cancellationNanos });
    expect(handedIn("result")[0]?.detail).toContain(why);
    expect(test.said("a purchase order was refused")).toEqual([]);
  });

  it("asks again for bytes that are wrong, and says whose they are when they stay so", async () => {
    const job = fakeJob(["run", 1, 0, "x"]);
    const once = await ordered(job);
    once.customer.wrong = (_, bytes, time) => (time === 1 ? bytes.map((byte) => byte ^ 1) : bytes);
    await until(() => test.stage(once.lease) === "over");
    const always = await ordered(job);
    always.customer.wrong = (_, bytes) => bytes.map((byte) => byte ^ 1);
    await until(() => test.stage(always.lease) === "over");
    expect(reasons()).toEqual(["completed", "job-refused"]);
    expect(always.customer.of("want").filter(({ offset }) => offset === 0)).toHaveLength(3);
    expect(always.customer.of("problem")[0]?.why).toContain("another digest");
  });

  it("is refused where it came before the lease was open", async () => {
    const job = fakeJob(["run", 1, 0, "x"], { memoryMibMax: 65 });
    let open = () => {};
    market.instead = (document) => {
      if (document.kind !== "acceptance") return null;
      market.instead = () => null;
      open = () => void market.submit(document.envelope);
      return { ok: false, code: "unavailable", facts: {} };
    };
    const { lease } = await ordered(job);
    await until(() => test.stage(lease) === "over");
    expect(open).toBeTypeOf("function");
    expect(reasons()).toEqual(["job-refused"]);
  });
});

describe("owners who cheat", () => {
  const withCheat = async (name: string): Promise<void> => {
    await test.server.close();
    const cheat = CHEATS[name];
    if (!cheat) throw new Error(`no cheat ${name}`);
    test = new TestServer(market, {}, (driver) => cheatingDriver(cheat, driver));
    await test.server.start();
    await until(() => handedIn("offer").length === 2);
  };

  it("by billing all the fuel at once get what a machine could have burnt since the opening", async () => {
    await withCheat("inflated-fuel-at-once");
    const { lease } = await ordered(fakeJob(["run", 20_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    const { openedAt, result, fuelMax, end } = market.lease(lease);
    expect(result?.fuel).toBe(fuelMax);
    const ms = (result?.at ?? 0) - (openedAt ?? 0);
    expect(ms).toBeLessThan(1_000);
    expect(end?.billableFuel).toBe(((FUEL_PER_HOST_SECOND_MAX * BigInt(ms)) / 1_000n).toString());
  });

  it("by refusing a good job get no more than the reserved slot's minimum", async () => {
    await withCheat("blame-customer");
    const { lease } = await ordered(fakeJob(["run", 20_000, 0, "x"]));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease).end).toMatchObject({ reason: "job-refused", dueNanos: market.lease(lease).cancellationNanos });
  });
});

describe("coming back", () => {
  it.each(["accepting", "waiting", "running", "ended", "delivering"])(
    "a daemon that went away while the lease was %s goes on",
    async (stage) => {
      const job = fakeJob(["run", 20_000, 0, "x"]);
      const lease = place(job);
      const customer = new FakeCustomer(market, lease, job, stage === "ended" || stage === "delivering" ? "silent" : "signs");
      await until(() => test.stage(lease) !== undefined);
      if (stage !== "waiting" && stage !== "accepting") void customer.attach();
      await until(() => test.stage(lease) === stage);
      await test.restart();
      expect(await test.record(lease)).toBeDefined();
      const again = new FakeCustomer(market, lease, job);
      await passing(1_000);
      void again.attach();
      await until(() => test.stage(lease) === "over");
      expect(market.lease(lease)).toMatchObject({ state: "settled", end: { reason: "completed" } });
      expect(handedIn("acceptance").length).toBeGreaterThan(0);
      expect(new Set(market.received.filter(({ kind }) => kind === "result").map(({ id }) => id)).size).toBe(1);
    },
  );

  it("says that its host failed where the guest is gone", async () => {
    const { lease } = await ordered(fakeJob(["run", 20_000, 0, "x"]));
    await until(() => test.stage(lease) === "running");
    await test.server.close();
    test.sim.loseGuests();
    await test.restart();
    await until(() => test.stage(lease) === "over");
    expect(reasons()).toEqual(["server-failed"]);
  });

  it("gives the customer as much more time as the broker was away, though nobody told it", async () => {
    market.pushes = false;
    const { id, envelope } = market.file(market.purchaseOrder(market.order({ jobHash: "11".repeat(32) })));
    market.push([{ envelope, at: clock.now() }]);
    await until(() => test.stage(id) === "waiting");
    const { startBy } = market.lease(id);
    const back = startBy + 5_000;
    market.instead = () => (clock.now() < back ? { ok: false, code: "unavailable", facts: {} } : null);
    const { logged } = market;
    market.logged = async (...asked) => (clock.now() < back ? null : logged(...asked));
    await until(() => clock.now() >= back);
    market.fileGap(id, market.sign(market.keys.receipts, "gap", { from: back - 30_000, to: back }));
    await until(() => test.stage(id) === "over");
    const [stated, ...others] = market.received.filter(({ kind }) => kind === "result");
    expect(others).toEqual([]);
    expect(stated).toBeDefined();
    expect(market.lease(id).end).toMatchObject({ reason: "input-missing", blame: "customer" });
    expect(market.lease(id).result?.at).toBeGreaterThanOrEqual(startBy + 25_000);
  });

  it("loses nothing by a broker whose database is away for ten minutes", async () => {
    const { lease } = await ordered(fakeJob(["run", 20_000, 0, "x"]));
    await until(() => test.stage(lease) === "running");
    const back = clock.now() + 600_000;
    market.instead = () => (clock.now() < back ? { ok: false, code: "unavailable", facts: {} } : null);
    await until(() => clock.now() >= back);
    market.fileGap(lease, market.sign(market.keys.receipts, "gap", { from: back - 590_000, to: back }));
    await until(() => test.stage(lease) === "over");
    expect(market.lease(lease)).toMatchObject({ state: "settled", end: { reason: "completed", billableFuel: "200000000000" } });
  });
});

describe("what a server lists", () => {
  it("signs the market's timings and fee, and signs anew when they change", async () => {
    expect(handedIn("offer")[0]).toMatchObject({
      timings: TIMINGS,
      feeBasisPointsMax: 0,
      drivers: ["wasm"],
      engine: "sim-1",
      egress: "none",
    });
    market.info = { ...market.info, announcedFee: { basisPoints: 300, effectiveAt: clock.now() + HOUR_MS } };
    await until(() => handedIn("offer").length === 2);
    expect(handedIn("offer")[1]).toMatchObject({ feeBasisPointsMax: 300 });
  });

  it("has no dealings with a broker of another operator, or other keys", async () => {
    await test.server.close();
    const refused: string[] = [];
    market.info = { ...market.info, operatorKey: "00".repeat(32) };
    test = new TestServer(market, { onRefused: (why) => void refused.push(why) });
    await test.server.start();
    await until(() => refused.length > 0);
    expect(refused[0]).toContain("wrong_origin");
  });

  it("accepts a purchase order once, and none that binds something else than was signed", async () => {
    const job = fakeJob(["run", 1, 0, "x"]);
    const order = market.order({ jobHash: job.jobHash });
    const right = market.file(market.purchaseOrder(order));
    market.push([{ envelope: right.envelope, at: clock.now() }]);
    await until(() => handedIn("acceptance").length === 1);
    const wrongs: [Partial<Payload<"purchase-order">>, Partial<Payload<"order">>, string][] = [
      [{ holdNanos: "1" }, {}, "the hold does not follow"],
      [{ price: { ...market.offer.payload.price, gigaFuelNanos: "1" } }, {}, "the price"],
      [{ feeBasisPoints: 100 }, {}, "the fee"],
      [{ timings: { ...TIMINGS, graceMs: 1 } }, {}, "the timings"],
      [{}, { conditions: [{ key: "region", op: "=", value: "us" }] }, "region=us"],
      [{}, { on: "mine" }, "not-yours"],
      [{}, { timings: { ...TIMINGS, graceMs: 1 } }, "the timings"],
      [{}, { driver: "qemu", assurance: "isolated", terms: "by-interval" }, "driver"],
      [{}, { resources: { vcpu: 64, memoryMib: 64, diskMib: 1 } }, "capacity"],
      [{ orderId: "00".repeat(32) }, {}, "orderId"],
    ];
    for (const [po, wanted, why] of wrongs) {
      test.log.length = 0;
      const { envelope } = market.purchaseOrder(market.order({ jobHash: job.jobHash, ...wanted }), po);
      market.push([{ envelope, at: clock.now() }]);
      await until(() => test.said("a purchase order was refused").length === 1);
      expect(test.said("a purchase order was refused")[0]?.["why"]).toContain(why);
    }
    const stranger = market.newParty(80);
    const { envelope } = market.purchaseOrder(market.order({ jobHash: job.jobHash }), {}, stranger.signer);
    market.push([{ envelope, at: clock.now() }], [...market.grants, ...stranger.grants]);
    await until(() => test.said("a purchase order was refused").length === 2);
    await passing(1_000);
    expect(handedIn("acceptance")).toHaveLength(1);
    expect(parseDocumentOf(nodeCrypto, "purchase-order", right.envelope).ok).toBe(true);
  });
});
