import { drawReferee, objectionDepositNanos, traceWithinMs } from "@xenoservers/market";
import { refuse, type Envelope, type LeaseView, type OfferView, type Receipt, type SignedDocument } from "@xenoservers/protocol";
import type { LinkAnswer } from "@xenoservers/protocol/link";
import { PAPER_PRICE, PaperMarket, Random, SimClock, type Own, type PaperParty, type PaperServer } from "@xenoservers/testkit";
import { resultDifference } from "@xenoservers/verify";
import { beforeEach, describe, expect, it } from "vitest";
import { PaperClient } from "../../../test/support/paper-client.ts";
import { disputeTerms } from "./dispute-terms.ts";
import { disputeResults, type TraceHere } from "./dispute.ts";
import { buildJob, type BuiltJob } from "./job.ts";
import { RefusedError, StalledError } from "./errors.ts";
import { bytesBlob } from "./blob.ts";
import type { Trace } from "./segment.ts";

const SEED = new Uint8Array(32).fill(3);
const START = 1_800_000_000_000;
const BUDGET = 10n ** 9n;

let clock: SimClock;
let market: PaperMarket;
let client: PaperClient;
let customer: PaperParty;
let server: PaperServer;
let referee: PaperServer;
let job: BuiltJob;
let order: SignedDocument<"order">;
let views: Map<string, LeaseView>;
let results: Map<string, SignedDocument<"result">>;
let lease: string;
let orders: Map<string, SignedDocument<"purchase-order">>;
/** Of further servers. */
let more: Envelope[];

/** As the broker shows it: the purchase order, the result where there is one, and who may sign what. */
function receiptOf(id: string): Receipt {
  const about = (kind: string, of: string, envelope: Envelope) => ({
    ...{ kind, id: of, envelope, at: START, salt: "" as const, leaf: id, index: 1, proof: [] },
  });
  const [po, result] = [orders.get(id), results.get(id)];
  const documents = [
    ...(po ? [about("purchase-order", po.id, po.envelope)] : []),
    ...(result ? [about("result", result.id, result.envelope)] : []),
  ];
  const leaves = [...customer.grants, ...server.grants, ...referee.grants, ...more].map((envelope) => about("key-grant", id, envelope));
  return { format: "xenoservers-receipt-1", lease: id, market: market.pins, documents, leaves, checkpoint: "", size: 1 };
}

function offerView(of: PaperServer): OfferView {
  const { payload, id } = market.offer(of);
  const { resources, price, drivers, assurances, sandbox, engine, labels, validUntil, maxLeaseMs } = payload;
  return {
    ...{
      server: of.id,
      owner: of.owner.party,
      offerId: id,
      resources,
      free: resources,
      price,
      priceNanosPerHour: "1",
      drivers,
      assurances,
      sandbox,
      engine,
    },
    ...{
      labels,
      validUntil,
      maxLeaseMs,
      accel: "none",
      vmScore: 0,
      limits: "cgroup2",
      holds: {},
      egress: "none",
      fetches: false,
      vmEngine: "",
      cpuScore: 100,
    },
    record: { leases: 0, completed: 0, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 },
  };
}

/** A settled lease of the job whose server signed this result. */
function settled(over: Partial<Own<"result">> = {}, end: Parameters<PaperMarket["end"]>[1] = {}): string {
  const po = market.purchaseOrder(order, server, market.offer(server));
  const result = market.result(server, po.id, order, { fuel: "1000", ...over });
  results.set(po.id, result);
  orders.set(po.id, po);
  views.set(po.id, market.view(po, { state: "settled", end: market.end(po, { dueNanos: "600", ...end }), deadlineAt: START + 60_000 }));
  return po.id;
}

beforeEach(() => {
  clock = new SimClock(START, new Random(1));
  market = new PaperMarket(new Random(2), START);
  customer = market.party("carl", SEED);
  client = new PaperClient(market, clock, SEED);
  server = market.server(market.party("olga"));
  referee = market.server(market.party("the operator"));
  job = buildJob({
    ...{ module: bytesBlob(Buffer.from("m")), args: [], env: [], mounts: [], stdin: bytesBlob(new Uint8Array()), engine: "paper-1" },
    ...{ memoryMibMax: 64, diskMibMax: 64, outputMibMax: 1, fuelMax: 10n ** 12n },
  });
  order = market.order(customer, { jobHash: job.jobHash });
  [views, results, orders, more] = [new Map(), new Map(), new Map(), []];
  client.answers.market = () => ({ ...market.info, referees: [referee.id] });
  client.answers.lease = ({ params }) => views.get(params?.["id"] ?? "")!;
  client.answers.receipt = ({ params }) => receiptOf(params?.["id"] ?? "");
  client.answers.offers = () => ({
    offers: [offerView(referee)],
    resources: order.payload.resources,
    excluded: {},
    explanation: "",
    next: null,
  });
  lease = settled();
});

const terms = () => disputeTerms(client, [lease], order.payload, job, BUDGET, false);
const refusal = (of: Promise<unknown>) =>
  of.then(
    () => null,
    (error: unknown) => (error instanceof RefusedError ? error.refusal : error),
  );

describe("before anything is frozen", () => {
  it("says who judges, what its run costs at most and what is put down", async () => {
    const { way, referee: found, leases } = await terms();
    expect(way).toBe("whole");
    expect(found.offer.server).toBe(referee.id);
    expect(found.quote.holdNanos).toBeGreaterThan(0n);
    expect(leases[0]?.depositNanos).toBe(objectionDepositNanos("600", "0"));
  });

  it.each<[string, () => void, string]>([
    ["the market has no referee", () => (client.answers.market = () => market.info), "no_referee"],
    [
      "the only referee is the accused owner's",
      () =>
        (client.answers.offers = () => ({
          offers: [offerView(server)],
          resources: order.payload.resources,
          excluded: {},
          explanation: "",
          next: null,
        })),
      "no_referee",
    ],
    [
      "the referee is not there",
      () =>
        (client.answers.offers = () => ({
          offers: [],
          resources: order.payload.resources,
          excluded: { offline: 1 },
          explanation: "",
          next: null,
        })),
      "no_referee",
    ],
    ["the window is over", () => (market.now = START + 61_000), "too_late"],
    ["its window is over for good", () => views.set(lease, { ...viewOf(lease), state: "final" }), "too_late"],
    ["the lease is not settled", () => (lease = addOpen()), "wrong_state"],
    ["it ended with nothing to compare", () => (lease = settled({ reason: "server-failed", exitCode: null })), "not_comparable"],
  ])("refuses where %s: nothing is signed", async (_, act, code) => {
    act();
    if (code === "too_late" && viewOf(lease).state === "settled") await clock.runUntil(START + 61_000);
    expect(await refusal(disputeResults(client, [lease], order.payload, job, BUDGET))).toMatchObject({ code });
    expect(client.submitted).toEqual([]);
  });
  const addOpen = (): string => {
    const po = market.purchaseOrder(order, server, market.offer(server), { attempt: 2 });
    orders.set(po.id, po);
    views.set(po.id, market.view(po));
    return po.id;
  };
});

const SETTLEMENT = "5".repeat(64);
/** How the referee of each run ends it. */
let runs: { reason: "completed" | "server-failed" }[] = [];

const viewOf = (id: string): LeaseView => {
  const view = views.get(id);
  if (!view) throw new Error("no such lease");
  return view;
};

/** Whose turn it is after those that have failed. */
function turnOf(candidates: readonly string[], round: number): { referee: string; round: number } {
  return { referee: drawReferee(SETTLEMENT, candidates, round) ?? "nobody", round };
}

/** The broker of the rest of the story: draws a referee, binds its order, whose lease is settled at once, and judges by `verdict`. */
function broker(verdict: "wrong" | "right", servers: readonly PaperServer[] = [referee]): void {
  const candidates = servers.map(({ id }) => id).toSorted();
  let round = 1;
  const doubted = (): LinkAnswer => {
    const draw = { ...turnOf(candidates, round), candidates, by: null };
    views.set(lease, {
      ...viewOf(lease),
      state: "disputed",
      settlement: SETTLEMENT,
      draw,
      trace: { depositNanos: "60", answered: true, deadlineAt: null },
    });
    return { ok: true, answer: {} };
  };
  const ordered = (signed: SignedDocument<"order">): LinkAnswer => {
    const turn = turnOf(candidates, round);
    const on = servers.find(({ id }) => id === turn.referee);
    if (!on || signed.payload.conditions[0]?.value !== turn.referee) return refuse("not_drawn", { lease, ...turn });
    const { reason } = runs.shift() ?? { reason: "completed" };
    const po = market.purchaseOrder(signed, on, market.offer(on));
    views.set(
      po.id,
      market.view(po, { state: "settled", end: market.end(po, { reason, blame: reason === "completed" ? "nobody" : "owner" }) }),
    );
    orders.set(po.id, po);
    const { fuel, memoryHash, outputDigest, stdoutDigest, stderrDigest, engine } = results.get(lease)!.payload;
    const came = {
      fuel,
      memoryHash,
      outputDigest,
      stdoutDigest,
      stderrDigest,
      engine,
      ...(verdict === "wrong" ? { stdoutDigest: "ee".repeat(32) } : {}),
    };
    results.set(po.id, market.result(on, po.id, signed, came));
    if (reason !== "completed") round++;
    return { ok: true, answer: { purchaseOrder: po.envelope, grants: [...customer.grants, ...on.grants] } };
  };
  const judged = ({ refereeLease }: Own<"dispute">): LinkAnswer => {
    if (verdict === "right") return refuse("result_agrees");
    const [accused, ruling] = [results.get(lease)!, results.get(refereeLease)!];
    const about = { lease, server: server.id, owner: server.owner.party, referee: ruling.payload.server, round, slashedTo: customer.party };
    const signed = market.sign(market.receipts, "verdict", {
      ...{ ...about, result: accused.envelope, ruling: ruling.envelope, trace: null },
      ...{
        segment: null,
        why: resultDifference(accused.payload, ruling.payload) ?? "nothing",
        refundNanos: "600",
        slashedNanos: "0",
        at: START,
      },
    });
    return { ok: true, answer: { verdict: signed.envelope } };
  };
  client.onSubmit = (document) => {
    if (document.kind === "trace-request") return doubted();
    if (document.kind === "order") return ordered(document as SignedDocument<"order">);
    return document.kind === "dispute" ? judged(document.payload) : { ok: true, answer: {} };
  };
}

const judgedIn = async (seconds = 30): Promise<Awaited<ReturnType<typeof disputeResults>>> => {
  const judged = disputeResults(client, [lease], order.payload, job, BUDGET);
  judged.catch(() => {}); // it is awaited below
  await clock.runUntil(market.now + seconds * 1_000);
  return judged;
};

describe("a dispute that is called off", () => {
  it("while it is looked whether anything is put down puts nothing down, and says so", async () => {
    broker("wrong");
    const off = new AbortController();
    let looks = 0;
    const { lease: shown } = client.answers;
    client.answers.lease = (request) => {
      if (++looks === 2) off.abort();
      return shown!(request);
    };
    const called = disputeResults(client, [lease], order.payload, job, BUDGET, undefined, off.signal);
    await expect(called).rejects.toMatchObject({ code: "aborted", money: "none" });
    expect([looks, client.kinds()]).toEqual([2, []]);
  });

  it("is gone on with though no referee has room for another: its own is kept", async () => {
    broker("wrong");
    const { offers: all } = client.answers;
    client.answers.offers = (request) => ({ ...all!(request), ...(request.query?.["later"] === "true" ? {} : { offers: [] }) });
    expect(await refusal(disputeResults(client, [lease], order.payload, job, BUDGET))).toMatchObject({ code: "no_referee" });
    client.onSubmit(client.sign("trace-request", { lease, party: customer.party, step: null }));
    expect((await judgedIn()).verdicts.get(lease)).toMatchObject({ why: expect.stringContaining("standard output") });
    expect(client.kinds()).not.toContain("trace-request");
  });

  it("while this machine still looks for the job's states waits for neither them nor its server, and lets go of both", async () => {
    const off = new AbortController();
    const { promise: looking, resolve: looks } = Promise.withResolvers<void>();
    const states = Promise.withResolvers<Trace>();
    const called = disputeLong(() => (looks(), states.promise), off.signal);
    await looking;
    await clock.runUntil(market.now + 10_000);
    off.abort();
    await expect(called).rejects.toMatchObject({ code: "left_open", leases: [lease] });
    let isClosed = false;
    states.resolve({ roots: [], read: async () => new Uint8Array(), close: () => void (isClosed = true) });
    await states.promise;
    expect([isClosed, await connectsLater()]).toEqual([true, 0]);
  });
});

it("that cannot find the job's states on this machine keeps no link open", async () => {
  const called = disputeLong(() => Promise.reject(new Error("no engine here")));
  called.catch(() => {});
  await clock.runUntil(market.now + 10_000);
  await expect(called).rejects.toThrow("no engine here");
  expect(await connectsLater()).toBe(0);
});

it("ends where the broker says for ever that a server owes its states: its time by what was signed, and some more", async () => {
  lease = settled({ fuel: "9000000000000" });
  client.onSubmit = (document) => {
    const trace = { depositNanos: "60", answered: false, deadlineAt: null };
    if (document.kind === "trace-request") views.set(lease, { ...viewOf(lease), state: "disputed", trace });
    return { ok: true, answer: {} };
  };
  const begun = clock.now();
  let [ended, afterMs]: [unknown, number] = [null, 0];
  disputeResults(client, [lease], order.payload, job, BUDGET, () => Promise.withResolvers<Trace>().promise).catch((error: unknown) => {
    [ended, afterMs] = [error, clock.now() - begun];
  });
  const withinMs = traceWithinMs(9_000_000_000_000n, order.payload.resources.memoryMib);
  // it waits as long as the server may take at the least, and never much longer
  await clock.runUntil(begun + withinMs);
  expect(ended).toBeNull();
  await clock.runUntil(begun + 4 * withinMs, () => ended !== null);
  expect(ended).toBeInstanceOf(StalledError);
  expect(ended).toMatchObject({ message: expect.stringContaining(lease) });
  expect(afterMs).toBeLessThan(3 * withinMs + 1_000);
});

let connects = 0;

/** How often a link is tried in the next minutes. */
async function connectsLater(): Promise<number> {
  connects = 0;
  await clock.runUntil(clock.now() + 300_000);
  return connects;
}

/** Over a long job, whose server shows its states at once. */
function disputeLong(here: TraceHere, signal?: AbortSignal): ReturnType<typeof disputeResults> {
  lease = settled({ fuel: "9000000000000" });
  client.connect = () => {
    connects++;
    return Promise.reject(new Error("there is no network on paper"));
  };
  client.onSubmit = (document) => {
    if (document.kind !== "trace-request") return { ok: true, answer: {} };
    const { step } = document.payload as Own<"trace-request">;
    const { jobHash } = order.payload;
    const own = { lease, server: server.id, request: document.id, jobHash, engine: "paper-1", step: step ?? "0", roots: [], detail: "" };
    const trace = market.sign(server.signer, "trace", own);
    const { documents, ...rest } = receiptOf(lease);
    client.answers.receipt = () => ({
      ...rest,
      documents: [...documents, { ...documents[0]!, kind: "trace", id: trace.id, envelope: trace.envelope }],
    });
    views.set(lease, { ...viewOf(lease), state: "disputed", trace: { depositNanos: "60", answered: true, deadlineAt: null } });
    return { ok: true, answer: {} };
  };
  return disputeResults(client, [lease], order.payload, job, BUDGET, here, signal);
}

describe("a dispute over a short job", () => {
  it("freezes the pay, has the drawn referee run all of it, and brings back the verdict", async () => {
    broker("wrong");
    const judged = await judgedIn();
    expect(judged.verdicts.get(lease)).toMatchObject({ why: expect.stringContaining("standard output") });
    expect(judged.runs.get(lease)).toMatchObject({ referee: referee.id, round: 1, passed: [] });
    expect(client.kinds().filter((kind) => kind !== "login")).toEqual(["trace-request", "order", "dispute"]);
    expect(client.submitted[0]?.payload).toMatchObject({ lease, step: null });
    // the referee gets the very same job, and its customer's own limits
    expect(client.submitted[1]?.payload).toMatchObject({
      jobHash: job.jobHash,
      judges: lease,
      conditions: [{ key: "server", value: referee.id }],
      budgetNanos: "1000000000",
    });
  });

  it("ends without a verdict where the referee agrees", async () => {
    broker("right");
    expect((await judgedIn()).verdicts.get(lease)).toBeNull();
  });

  it("puts nothing down where nothing was paid", async () => {
    lease = settled({}, { dueNanos: "0" });
    expect((await terms()).leases[0]?.depositNanos).toBe(0n);
  });

  it("goes on to the next referee where one fails, and says so", async () => {
    const other = market.server(market.party("another operator"));
    more = other.grants;
    broker("wrong", [referee, other]);
    runs = [{ reason: "server-failed" }];
    const judged = await judgedIn();
    const ids = [referee.id, other.id].toSorted();
    const first = drawReferee(SETTLEMENT, ids, 1);
    expect(judged.runs.get(lease)).toMatchObject({
      referee: drawReferee(SETTLEMENT, ids, 2),
      round: 2,
      passed: [{ referee: first, why: "its run ended with server-failed" }],
    });
  });

  it("orders nothing from a referee that the broker has chosen by itself", async () => {
    broker("wrong");
    const right = client.onSubmit;
    client.onSubmit = (document) => {
      const answer = right(document);
      const view = viewOf(lease);
      if (view.draw)
        views.set(lease, {
          ...view,
          draw: { ...view.draw, candidates: [...view.draw.candidates, server.id].toSorted(), referee: server.id },
        });
      return answer;
    };
    const ids = [referee.id, server.id].toSorted();
    expect(drawReferee(SETTLEMENT, ids, 1)).toBe(referee.id);
    expect(await judgedIn().catch((error: unknown) => error)).toMatchObject({ message: expect.stringContaining("was not drawn") });
    expect(client.kinds()).not.toContain("order");
  });

  it("takes no verdict that the broker's key for them has not signed", async () => {
    broker("wrong");
    const right = client.onSubmit;
    client.onSubmit = (document) => {
      const answer = right(document);
      return document.kind === "dispute" ? { ok: true, answer: { verdict: results.get(lease)!.envelope } } : answer;
    };
    expect(await judgedIn().catch((error: unknown) => error)).toMatchObject({ message: "the broker's verdict is not valid" });
  });
});

describe("a broker whose word does not follow from what was signed", () => {
  it("says that the results agree where they do not, and is not believed", async () => {
    broker("wrong");
    const right = client.onSubmit;
    client.onSubmit = (document) => (document.kind === "dispute" ? refuse("result_agrees") : right(document));
    await expect(judgedIn()).rejects.toMatchObject({
      code: "broken_word",
      message: expect.stringContaining("says that the results agree"),
    });
  });

  it("convicts a server that the referee bears out, and is not believed", async () => {
    broker("right");
    const right = client.onSubmit;
    client.onSubmit = (document) => {
      if (document.kind !== "dispute") return right(document);
      const { refereeLease } = document.payload as Own<"dispute">;
      const [accused, ruling] = [results.get(lease)!, results.get(refereeLease)!];
      const about = { lease, server: server.id, owner: server.owner.party, referee: ruling.payload.server, round: 1, trace: null };
      const signed = market.sign(market.receipts, "verdict", {
        ...{ ...about, result: accused.envelope, ruling: ruling.envelope, slashedTo: customer.party },
        ...{ segment: null, why: "so it is", refundNanos: "600", slashedNanos: "0", at: START },
      });
      return { ok: true, answer: { verdict: signed.envelope } };
    };
    await expect(judgedIn()).rejects.toMatchObject({ code: "broken_word", message: expect.stringContaining("has signed the same") });
  });
});

it("of a long job whose servers differ asks for their states, with a deposit for each", async () => {
  lease = settled({ fuel: "9000000000000" });
  const other = settled({ fuel: "9000000000000" });
  const { way, leases } = await disputeTerms(client, [lease, other], order.payload, job, BUDGET, false);
  expect(way).toBe("parts");
  const minute = (BigInt(PAPER_PRICE.gigaFuelNanos) * 10n * 60n * 10n ** 9n) / 10n ** 9n;
  expect(leases.map(({ depositNanos }) => depositNanos)).toEqual([600n + minute, 600n + minute]);
});
