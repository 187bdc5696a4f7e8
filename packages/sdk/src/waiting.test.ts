import { PaperMarket, Random, SimClock, type PaperParty } from "@xenoservers/testkit";
import { refuse, type RouteReply, type SignedDocument } from "@xenoservers/protocol";
import { beforeEach, expect, it } from "vitest";
import { PaperClient } from "../../../test/support/paper-client.ts";
import { RefusedError, StalledError } from "./errors.ts";
import { placeOrder } from "./placing.ts";
import { BrokenPurchaseOrder } from "./purchase-order.ts";
import { NoLongerWaiting } from "./waiting.ts";
import type { Wanted } from "./order.ts";

const SEED = new Uint8Array(32).fill(3);
const START = 1_800_000_000_000;
const WAIT_MS = 3_600_000;
const JOB = "a".repeat(64);
const wanted: Wanted = {
  resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
  conditions: [],
  terms: "on-result",
  assurance: "isolated",
  on: "market",
  maxPriceNanosPerHour: null,
  durationMsMax: 60_000,
  fuelMax: 10n ** 12n,
  budgetNanos: 10n ** 9n,
  label: "",
  waitMs: WAIT_MS,
};

let clock: SimClock;
let market: PaperMarket;
let customer: PaperParty;
let other: PaperParty;
let client: PaperClient;

beforeEach(() => {
  const random = new Random(5);
  clock = new SimClock(START, random);
  market = new PaperMarket(random, START);
  customer = market.party("carl", SEED);
  other = market.party("carol");
  client = new PaperClient(market, clock, SEED);
  // the broker's clock stands still
  client.answers.market = () => ({ ...market.info, now: START });
  client.onSubmit = ({ kind }) => ({ ok: true, answer: kind === "order" ? { waiting: true } : {} });
});

/** What the waiting ends with, and when, counted from its beginning; null where it goes on long after the order's time. */
async function endOf(placed: Promise<unknown>): Promise<{ error: unknown; afterMs: number } | null> {
  let end: { error: unknown; afterMs: number } | null = null;
  const over = (error: unknown): void => void (end = { error, afterMs: clock.now() - START });
  placed.then(over, over);
  await clock.runUntil(START + 4 * WAIT_MS, () => end !== null);
  return end;
}

const standsAt = (over: Partial<RouteReply<"order">>): void =>
  void (client.answers.order = ({ params }) => ({
    ...{ id: params?.["id"] ?? "", lease: null, attempt: 0, refused: null },
    ...{ waiting: { since: START, until: START + 1e9, ahead: 0 }, ...over },
  }));

it("ends soon after the order's time where the broker says for ever that it waits, and gives it up", async () => {
  standsAt({});
  const end = await endOf(placeOrder(client, wanted, JOB));
  expect(end?.error).toBeInstanceOf(StalledError);
  expect(end?.afterMs).toBeLessThan(WAIT_MS + 2 * 60_000);
  expect(client.kinds()).toEqual(["order", "order-withdrawal"]);
});

it("ends where the broker says nothing of it at all", async () => {
  standsAt({ waiting: null });
  expect((await endOf(placeOrder(client, wanted, JOB)))?.error).toBeInstanceOf(StalledError);
});

it("ends where the broker is away for ever", async () => {
  delete client.answers.order;
  const end = await endOf(placeOrder(client, wanted, JOB));
  expect(end?.error).toBeInstanceOf(StalledError);
  expect(end?.afterMs).toBeGreaterThan(WAIT_MS);
});

it("gives the order up where the broker suddenly knows nothing of it", async () => {
  client.answers.order = () => {
    throw new RefusedError(refuse("not_found"));
  };
  expect((await endOf(placeOrder(client, wanted, JOB)))?.error).toMatchObject({ code: "not_found" });
  expect(client.kinds()).toEqual(["order", "order-withdrawal"]);
});

it("gives the order up, and leaves the lease alone, where it comes to another's purchase order", async () => {
  const server = market.server(market.party("olga"));
  const theirs = market.order(other, {});
  const bound = market.purchaseOrder(theirs, server, market.offer(server, {}));
  standsAt({ waiting: null, lease: bound.id });
  client.onSubmit = ({ kind }) =>
    kind === "order" ? { ok: true, answer: { waiting: true } } : kind === "stop" ? { ok: true, answer: {} } : refuse("wrong_state");
  client.answers.receipt = () =>
    ({ documents: [{ kind: "purchase-order", envelope: bound.envelope }], leaves: [] }) as unknown as RouteReply<"receipt">;
  expect((await endOf(placeOrder(client, wanted, JOB)))?.error).toBeInstanceOf(BrokenPurchaseOrder);
  expect(client.kinds()).toEqual(["order", "order-withdrawal"]);
});

it("comes to its lease though the broker goes away between its word that it is bound and the purchase order", async () => {
  const server = market.server(market.party("olga"));
  let bound: SignedDocument<"purchase-order"> | null = null;
  client.onSubmit = (document) => {
    bound ??= market.purchaseOrder(document as SignedDocument<"order">, server, market.offer(server, {}));
    return { ok: true, answer: { waiting: true } };
  };
  client.answers.order = ({ params }) => ({ id: params?.["id"] ?? "", lease: bound!.id, attempt: 1, refused: null, waiting: null });
  let isAway = true;
  client.answers.receipt = () => {
    if (isAway) throw new RefusedError(refuse("unavailable"));
    const leaves = [...customer.grants, ...server.grants].map((envelope) => ({ envelope }));
    return { documents: [{ kind: "purchase-order", envelope: bound!.envelope }], leaves } as unknown as RouteReply<"receipt">;
  };
  clock.after(60_000, () => (isAway = false));
  const placed = placeOrder(client, wanted, JOB);
  expect(await endOf(placed)).toMatchObject({ error: { po: { id: bound!.id } } });
  expect(client.kinds()).toEqual(["order"]);
});

it("is not given up where its answer is lost and somebody keeps its id, as long as that one wants it", async () => {
  const left = new AbortController();
  client.onSubmit = () => refuse("unavailable");
  client.answers.order = ({ params }) => ({ id: params?.["id"] ?? "", lease: "b".repeat(64), attempt: 1, refused: null, waiting: null });
  const kept: string[] = [];
  const whileWaiting = { onSigned: async (order: string) => void kept.push(order), signal: left.signal };
  expect((await endOf(placeOrder(client, wanted, JOB, whileWaiting)))?.error).toMatchObject({ code: "unavailable" });
  expect([client.kinds(), kept]).toEqual([["order"], [client.submitted[0]!.id]]);
  left.abort();
  await endOf(placeOrder(client, wanted, JOB, whileWaiting));
  expect(client.kinds()).toEqual(["order", "order", "order-withdrawal"]);
});

it("waits for nobody where only its answer was lost, and nobody keeps its id", async () => {
  client.onSubmit = ({ kind }) => (kind === "order" ? refuse("unavailable") : { ok: true, answer: {} });
  standsAt({});
  expect((await endOf(placeOrder(client, wanted, JOB)))?.error).toMatchObject({ code: "unavailable" });
  expect(client.kinds()).toEqual(["order", "order-withdrawal"]);
});

it("leaves alone what the broker has ended", async () => {
  standsAt({ waiting: null, refused: { code: "busy" } });
  expect((await endOf(placeOrder(client, wanted, JOB)))?.error).toMatchObject({ code: "busy" });
  expect(client.kinds()).toEqual(["order"]);
});

it("is given up at once, though the broker's answer never comes", async () => {
  const left = new AbortController();
  const read = client.read.bind(client);
  client.read = ((name: "order", request: { signal?: AbortSignal }) =>
    name === "order"
      ? new Promise((_, reject) => request.signal?.addEventListener("abort", () => reject(new Error("given up"))))
      : read(name, request)) as typeof client.read;
  clock.after(5_000, () => left.abort());
  const end = await endOf(placeOrder(client, wanted, JOB, { signal: left.signal }));
  expect(end).toMatchObject({ error: { left: "withdrawn" }, afterMs: 5_000 });
  expect(end?.error).toBeInstanceOf(NoLongerWaiting);
});
