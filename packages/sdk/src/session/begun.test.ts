import type { LeaseView, SignedDocument } from "@xenoservers/protocol";
import type { Pipe } from "@xenoservers/protocol/link";
import { PaperMarket, Random, SimClock } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PaperClient } from "../../../../test/support/paper-client.ts";
import { NotStartedError } from "../errors.ts";
import { placeOrder } from "../placing.ts";
import type { BoundOrder } from "../purchase-order.ts";
import { begun } from "./begun.ts";
import { LeaseSession } from "./lease-session.ts";

const SEED = new Uint8Array(32).fill(3);
const START = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

let clock: SimClock;
let market: PaperMarket;
let client: PaperClient;
let view: LeaseView;
let bound: BoundOrder;
let session: LeaseSession;
let running: PromiseWithResolvers<null>;
/** What came of waiting; null: it goes on. */
let came: unknown;

beforeEach(async () => {
  const random = new Random(9);
  clock = new SimClock(START, random);
  market = new PaperMarket(random, START);
  const customer = market.party("carl", SEED);
  const server = market.server(market.party("olga"));
  client = new PaperClient(market, clock, SEED);
  client.onSubmit = (document) => {
    const po = market.purchaseOrder(document as SignedDocument<"order">, server, market.offer(server));
    return { ok: true, answer: { purchaseOrder: po.envelope, grants: [...customer.grants, ...server.grants] } };
  };
  bound = await placeOrder(
    client,
    {
      ...{ resources: { vcpu: 1, memoryMib: 256, diskMib: 64 }, conditions: [], terms: "on-result", assurance: "isolated", on: "market" },
      ...{ maxPriceNanosPerHour: null, durationMsMax: HOUR_MS, fuelMax: 10n ** 12n, budgetNanos: 10n ** 9n, label: "" },
    },
    "a".repeat(64),
  );
  view = market.view(bound.po);
  client.answers.lease = () => view;
  client.answers.order = () => ({ id: bound.order.id, lease: bound.po.id, attempt: 1, waiting: null, refused: null });
  session = new LeaseSession(client, bound, null, {}, { up: false, openChannel });
  running = Promise.withResolvers();
  came = null;
  begun(session, running.promise).then(
    () => (came = "begun"),
    (error: unknown) => (came = error),
  );
});
afterEach(() => session.close());

function openChannel(): Pipe {
  throw new Error("the link is down");
}
const gone = (ms: number): Promise<void> => clock.runUntil(clock.now() + ms);
const settle = (end: Parameters<PaperMarket["end"]>[1]): void => {
  view = { ...view, state: "settled", end: market.end(bound.po, end) };
};

it("waits as long as the lease stands, however slow its server is", async () => {
  await gone(HOUR_MS / 2);
  expect(came).toBeNull();
  running.resolve(null);
  await gone(2_000);
  expect(came).toBe("begun");
});

it("takes for begun what ran to its end", async () => {
  settle({ exitCode: 3 });
  await gone(2_000);
  expect(came).toBe("begun");
});

it("says what ended before it ran", async () => {
  settle({ reason: "not-started", exitCode: null });
  await gone(2_000);
  expect(came).toBeInstanceOf(NotStartedError);
  expect(came).toMatchObject({ message: expect.stringMatching(/^lease [0-9a-f]{12} ended: not-started$/) });
});

it("does not take for begun what no server took up", async () => {
  view = { ...view, state: "lapsed" };
  await gone(2_000);
  expect(came).toBeInstanceOf(NotStartedError);
  expect(came).toMatchObject({ message: expect.stringMatching(/ended: lapsed$/) });
});
