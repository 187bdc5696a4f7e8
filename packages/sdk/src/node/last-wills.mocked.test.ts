/** What a program says of its leases, and takes back, at a broker that a test plays. */
import { parseDocument, refuse } from "@xenoservers/protocol";
import { systemCrypto } from "@xenoservers/protocol/system";
import { systemTimers, type FromBroker, type MarketInfo, type Pipe, type ToBroker } from "@xenoservers/protocol/link";
import { beforeEach, expect, it, vi } from "vitest";
import { until } from "../../../../test/until.ts";
import { MarketClient } from "../client.ts";
import type { Beyond } from "../facade/beyond.ts";
import { identityOf } from "../identity.ts";
import { LastWills, alsoOfEarlier } from "./last-wills.ts";

vi.mock("@xenoservers/protocol/websocket", () => ({ connectPipe: async () => played.pipe() }));
vi.mock("@xenoservers/protocol/system", async (original) => ({
  ...(await original<object>()),
  ask: async () => ({ ok: true, status: 200, json: async () => ({ will: { afterMs: 60_000 } }) }),
}));

/** A purchase order here is the order's id and its own; test/process/wills.thorough.test.ts has real ones. */
const orders: Record<string, string> = {};
vi.mock("../purchase-order.ts", async (original) => {
  const { BrokenPurchaseOrder } = await original<typeof import("../purchase-order.ts")>();
  const bound = (lease: string, order: string) => {
    if (orders[lease] !== order) throw new BrokenPurchaseOrder("it embeds another order", null, []);
    return { po: { id: lease } };
  };
  return {
    BrokenPurchaseOrder,
    checkBound: (_client: unknown, order: { id: string }, lease: string) => bound(lease, order.id),
    fetchBound: async (_client: unknown, lease: string, order: string) => bound(lease, order),
  };
});

const KEY = "ab".repeat(32);
const PINS = { origin: "o", keys: { purchaseOrders: KEY, checkpoints: KEY, receipts: KEY }, operatorKey: KEY };
const MARKET = {
  ...{ ...PINS, currency: "c", feeBasisPoints: 0, announcedFee: null, referees: [], witnesses: [], mergeDelayMs: 1, now: 0 },
  ...{ protocol: { min: 1, max: 1 }, log: { epoch: "ab".repeat(16), size: 0, root: KEY } },
  timings: Object.fromEntries(
    ["accept", "start", "deliver", "rule"]
      .map((what) => [`${what}WithinMs`, 1])
      .concat([
        ["claimIntervalMs", 1],
        ["graceMs", 1],
        ["disputeWindowMs", 1],
      ]),
  ) as MarketInfo["timings"],
};
const [ORDER, LEASE, NEXT, OTHERS] = ["0", "1", "2", "3"].map((digit) => digit.repeat(64)) as [string, string, string, string];
Object.assign(orders, { [LEASE]: ORDER, [NEXT]: ORDER, [OTHERS]: "4".repeat(64) });

type Will = Extract<ToBroker, { t: "will" }>;

class Played {
  readonly wills: Will[] = [];
  links = 0;
  open = 0;
  #deliver: (message: string) => void = () => {};

  pipe(): Pipe {
    this.links++;
    this.open++;
    return {
      send: (text) => {
        const message = JSON.parse(String(text)) as ToBroker;
        if (message.t === "hello") this.says({ t: "welcome", party: `p_${"0".repeat(40)}`, live: { grants: [], filed: [] }, clock: null });
        if (message.t === "will") this.wills.push(message);
      },
      close: () => void this.open--,
      onMessage: (handler) => {
        this.#deliver = handler;
        this.says({ t: "challenge", challenge: "ab".repeat(32), market: MARKET, beat: { everyMs: 60_000, missedMax: 3 } });
      },
      onClose: () => {},
    };
  }

  says(message: FromBroker): void {
    this.#deliver(JSON.stringify(message));
  }

  answers(): void {
    for (const { ref } of this.wills.splice(0)) this.says({ t: "answer", ref, answer: { kept: true } });
  }

  tells(kind: string, lease: string | null, data: Record<string, string> = {}): void {
    this.says({ t: "event", event: { kind, lease, data, at: 1 } });
  }
}

let played: Played;
let client: MarketClient;
let wills: LastWills;

beforeEach(() => {
  played = new Played();
  client = new MarketClient("http://127.0.0.1:1", PINS as never, identityOf(systemCrypto.randomBytes(32)));
  wills = LastWills.of(client);
});

const filed = (kind: string, answer: object, payload: object = {}): void =>
  client.onFiled({ document: { kind, id: ORDER, payload: { judges: null, ...payload } }, at: 1, promise: {}, answer } as never);
const said = (): [string, boolean][] => played.wills.map(({ lease, envelope }) => [lease, envelope !== null]);

it("takes back a will once it is known to be kept, and not before", async () => {
  wills.holds(LEASE);
  await until(() => played.wills.length > 0);
  expect(said()).toEqual([[LEASE, true]]);
  const released = wills.release();
  expect(said()).toEqual([[LEASE, true]]);
  played.answers();
  expect(said()).toEqual([[LEASE, false]]);
  played.answers();
  expect([await released, played.open]).toEqual([true, 0]);
});

it("says where a will could not be taken back", async () => {
  vi.useFakeTimers();
  try {
    wills.holds(LEASE);
    const released = wills.release();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await released).toBe(false);
  } finally {
    vi.useRealTimers();
  }
});

it("of an order that a server let lapse, and that waits again, is of what it comes to", async () => {
  filed("order", { purchaseOrder: LEASE });
  await until(() => played.wills.length > 0);
  expect(said()).toEqual([[LEASE, true]]);
  played.answers();
  played.tells("lease-lapsed", LEASE, { order: ORDER });
  played.tells("order-waiting", null, { order: ORDER });
  await until(() => played.wills.length > 1);
  expect(said()).toEqual([
    [LEASE, false],
    [ORDER, true],
  ]);
  played.answers();
  expect(played.open).toBe(1);
  played.tells("lease-bound", NEXT, { order: ORDER });
  await until(() => played.wills.length > 0);
  const taken = [
    [ORDER, false],
    [NEXT, true],
  ];
  expect([said(), played.links]).toEqual([taken, 1]);
  // it waits anew before the broker has answered that the will of its first wait is gone
  played.tells("lease-lapsed", NEXT, { order: ORDER });
  played.tells("order-waiting", null, { order: ORDER });
  expect(said()).toEqual(taken);
  played.answers();
  await until(() => played.wills.length > 1);
  expect(said().toSorted()).toEqual([
    [ORDER, true],
    [NEXT, false],
  ]);
  wills.leave();
});

it("of an order that waited for a moment alone is none: it is of what the order came to", async () => {
  const later: (() => void)[] = [];
  Object.assign(client, { timers: { ...systemTimers, after: (_ms: number, action: () => void) => (later.push(action), () => {}) } });
  filed("order", {});
  await until(() => played.open === 1);
  played.tells("lease-bound", LEASE, { order: ORDER });
  await until(() => played.wills.length > 0);
  expect(later.length).toBeGreaterThan(0);
  for (const action of later) action();
  expect(said()).toEqual([[LEASE, true]]);
  wills.leave();
});

it("of an order that waits is its withdrawal, anew on each link, and is gone with what refuses the order", async () => {
  filed("order", {});
  await until(() => played.wills.length > 0);
  const [will] = played.wills;
  const parsed = parseDocument(systemCrypto, will?.envelope);
  expect(parsed).toMatchObject({ document: { kind: "order-withdrawal", payload: { order: ORDER, party: client.identity.party } } });
  played.answers();
  played.tells("order-refused", null, { order: ORDER });
  expect(said()).toEqual([[ORDER, false]]);
  played.answers();
  expect(played.open).toBe(0);
});

it("of an order that waits is asked of no broker twice that knows none", async () => {
  filed("order", {});
  await until(() => played.wills.length > 0);
  for (const { ref } of played.wills.splice(0))
    played.says({ t: "answer", ref, error: { ...refuse("unknown_kind", { expected: "stop" }) } });
  expect([said(), played.open]).toEqual([[], 1]);
  wills.leave();
});

it("is said of no lease that the broker names alone: it could be another of this customer's", async () => {
  filed("order", { purchaseOrder: OTHERS });
  filed("order", { replicas: [{ purchaseOrder: OTHERS }, { purchaseOrder: LEASE }] });
  await until(() => played.wills.length > 0);
  played.tells("lease-lapsed", LEASE, { order: ORDER });
  played.tells("order-waiting", null, { order: ORDER });
  played.tells("lease-bound", OTHERS, { order: ORDER });
  played.tells("lease-bound", NEXT, { order: ORDER });
  const all = new Set<string>();
  await until(() => {
    for (const [id] of said()) all.add(id);
    played.answers();
    return all.has(NEXT);
  });
  expect(all).not.toContain(OTHERS);
  wills.leave();
});

it("holds no link of an order that was withdrawn while it waited", async () => {
  filed("order", {});
  await until(() => played.wills.length > 0);
  played.answers();
  filed("order-withdrawal", {}, { order: ORDER });
  played.answers();
  expect(played.open).toBe(0);
});

it("of what an earlier call of a map left and this one follows is said anew", async () => {
  const bound = { po: { id: LEASE } };
  const followed: unknown[] = [];
  const beyond = {
    map: (means: () => { bound(lease: string): Promise<unknown> }) =>
      means()
        .bound(LEASE)
        .then((found) => followed.push(found)),
  } as unknown as Beyond;
  await alsoOfEarlier(beyond, wills).map(() => ({ bound: async () => bound }) as never, [], {}, {});
  expect(followed).toEqual([bound]);
  await until(() => played.wills.length > 0);
  expect(said()).toEqual([[LEASE, true]]);
  wills.leave();
});
