import { DEFAULT_TIMINGS } from "@xenoservers/market";
import { systemTimers, type MarketInfo } from "@xenoservers/protocol/link";
import type { Envelope, RouteReply, SignedDocument } from "@xenoservers/protocol";
import { PAPER_PRICE, PaperMarket, Random, type Own, type PaperParty, type PaperServer } from "@xenoservers/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { PaperClient } from "../../../test/support/paper-client.ts";
import { signOrder, type Wanted } from "./order.ts";
import { placeOrder, placeReplicas } from "./placing.ts";
import { BrokenPurchaseOrder, fetchBound } from "./purchase-order.ts";

const SEED = new Uint8Array(32).fill(3);
const wanted: Wanted = {
  resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
  conditions: [{ key: "region", op: "=", value: "eu" }],
  terms: "on-result",
  assurance: "isolated",
  on: "market",
  maxPriceNanosPerHour: null,
  durationMsMax: 60_000,
  fuelMax: 10n ** 12n,
  budgetNanos: 10n ** 9n,
  label: "",
};
const JOB = "a".repeat(64);

let market: PaperMarket;
let customer: PaperParty;
let owner: PaperParty;
let server: PaperServer;
let client: PaperClient;

beforeEach(() => {
  market = new PaperMarket(new Random(5), Date.now());
  customer = market.party("carl", SEED);
  owner = market.party("olga");
  server = market.server(owner);
  client = new PaperClient(market, systemTimers, SEED);
});

interface Cheat {
  offer?: Partial<Own<"offer">>;
  po?: Partial<Own<"purchase-order">>;
  /** Another order than the customer's. */
  order?: (signed: SignedDocument<"order">) => SignedDocument<"order">;
  market?: (market: PaperMarket) => void;
  grants?: unknown[];
}

/** A broker that answers an order with a purchase order of its own making. */
function answerWith({ offer, po, order = (signed) => signed, grants }: Cheat): void {
  client.onSubmit = (document) => {
    if (document.kind !== "order") return { ok: true, answer: {} };
    const bound = order(document as SignedDocument<"order">);
    const signed = market.purchaseOrder(bound, server, market.offer(server, { labels: { region: "eu" }, ...offer }), po);
    return {
      ok: true,
      answer: { lease: signed.id, purchaseOrder: signed.envelope, grants: grants ?? [...customer.grants, ...server.grants] },
    };
  };
}

const STRANGE: Pick<Envelope, "payload" | "signatures"> = {
  payload: "e30=",
  signatures: [{ keyid: "0".repeat(64), sig: `${"A".repeat(86)}==` }],
};

/** The market as it describes itself when the order is signed. */
const info = (over: Partial<MarketInfo>) => (client.answers.market = () => ({ ...market.info, ...over }));

describe("a purchase order", () => {
  it("that follows from the order is taken", async () => {
    market.announceFee(250);
    answerWith({});
    const bound = await placeOrder(client, wanted, JOB);
    expect(bound.po.payload.feeBasisPoints).toBe(250);
    expect(bound.lease.state).toBe("bound");
    expect(client.kinds()).toEqual(["order"]);
  });

  it("of an order that may wait for hours is taken where it is bound at once, and its order was told of before it was sent", async () => {
    answerWith({});
    const told: string[] = [];
    const bound = await placeOrder(client, { ...wanted, waitMs: 6 * 3_600_000 }, JOB, {
      onSigned: async (order) => void told.push(order, ...client.kinds()),
    });
    expect(told).toEqual([bound.order.id]);
  });

  const cheats: Record<string, [cheat: Cheat, why: RegExp]> = {
    "on a server elsewhere than ordered": [{ offer: { labels: { region: "us" } } }, /does not meet the order \(region=eu\)/],
    "at another price than the offer's": [{ po: { price: { ...PAPER_PRICE, gigaFuelNanos: "601" } } }, /price is not the offer's/],
    "with a fee that nobody announced": [{ po: { feeBasisPoints: 5_000 } }, /fee is not the one that was announced/],
    "with a fee above what was signed": [{ market: (m) => m.announceFee(4_000) }, /fee is higher than its customer has signed/],
    "with other timings than were signed": [
      { po: { timings: { ...DEFAULT_TIMINGS, deliverWithinMs: 1 } } },
      /timings are not the ones that the customer signed/,
    ],
    "on a stranger's server that serves only its friends": [{ offer: { allowedParties: [`p_${"d".repeat(40)}`] } }, /not-allowed/],
    "that holds more than time and price give": [{ po: { holdNanos: "999999999" } }, /hold does not follow/],
    "by an old offer": [{ offer: { validUntil: 1 } }, /offer had expired/],
    "dated long before it was ordered": [
      {
        po: {
          issuedAt: 5,
          acceptBy: 5 + DEFAULT_TIMINGS.acceptWithinMs,
          startBy: 5 + DEFAULT_TIMINGS.acceptWithinMs + DEFAULT_TIMINGS.startWithinMs,
        },
      },
      /dated long before/,
    ],
    "for another of the customer's orders": [
      { order: () => market.order(customer, { conditions: [{ key: "region", op: "=", value: "eu" }] }) },
      /another order than the one that was signed here/,
    ],
    "whose offer is of a later version than this library knows": [
      { po: { offer: { ...STRANGE, payloadType: "application/vnd.xenoservers.offer.v99+json" } } },
      /there is a document of a later version in its offer: upgrade xeno/,
    ],
    "whose offer nobody granted the key for": [{ grants: [] }, /not rightly signed/],
  };
  it.each(Object.entries(cheats))("%s ends what was ordered before anything is sent", async (_, [cheat, why]) => {
    info({ feeBasisPoints: 0 });
    cheat.market?.(market);
    answerWith(cheat);
    const error = await placeOrder(client, wanted, JOB).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(BrokenPurchaseOrder);
    expect(error).toMatchObject({ why: expect.stringMatching(why), message: expect.stringContaining("nothing of the job was sent") });
    // the lease is stopped, and what the broker signed is kept; one of another order runs by right
    expect(client.kinds()).toEqual(cheat.order ? ["order"] : ["order", "stop"]);
    expect((error as BrokenPurchaseOrder).purchaseOrder).toMatchObject({ payloadType: expect.stringContaining("purchase-order") });
  });

  it("of a broker that signs with another key is none", async () => {
    const other = new PaperMarket(new Random(6), Date.now());
    client.onSubmit = (document) => {
      const signed = other.purchaseOrder(document as SignedDocument<"order">, server, market.offer(server, { labels: { region: "eu" } }));
      return { ok: true, answer: { purchaseOrder: signed.envelope, grants: [...customer.grants, ...server.grants] } };
    };
    await expect(placeOrder(client, wanted, JOB)).rejects.toThrow(/not a purchase order of this market's broker/);
  });
});

describe("placing an order", () => {
  it("signs anew where the market's terms are others since they were read, once", async () => {
    let refused = 0;
    answerWith({});
    const right = client.onSubmit;
    client.onSubmit = (document) =>
      document.kind === "order" && refused++ === 0 ? { ok: false, code: "stale_terms", facts: {} } : right(document);
    await placeOrder(client, wanted, JOB);
    expect(client.kinds()).toEqual(["order", "order"]);
    client.onSubmit = () => ({ ok: false, code: "stale_terms", facts: {} });
    await expect(placeOrder(client, wanted, JOB)).rejects.toMatchObject({ refusal: { code: "stale_terms" } });
  });

  it("refuses before it orders where this machine's clock is far off", async () => {
    info({ now: Date.now() - 3_600_000 });
    await expect(placeOrder(client, wanted, JOB)).rejects.toMatchObject({
      ...{ code: "bad_input", message: expect.stringContaining("clock is 60 min ahead of the broker's") },
    });
    expect(client.submitted).toEqual([]);
  });

  it("refuses a broker that shows other keys than were pinned", async () => {
    info({ operatorKey: "0".repeat(64) });
    await expect(placeOrder(client, wanted, JOB)).rejects.toMatchObject({
      ...{ code: "broken_word", message: expect.stringContaining("other keys than were pinned") },
    });
  });

  it("takes replicas only of as many owners as were ordered", async () => {
    const other = market.server(market.party("otto"));
    const answer = (second: PaperServer) => {
      client.onSubmit = (document) => {
        if (document.kind !== "order") return { ok: true, answer: {} };
        const slots = [server, second].map((each, slot) => {
          const offer = market.offer(each, { labels: { region: "eu" }, sequence: slot + 1 });
          return { purchaseOrder: market.purchaseOrder(document as SignedDocument<"order">, each, offer, { slot }).envelope };
        });
        const grants = [...customer.grants, ...server.grants, ...second.grants];
        return { ok: true, answer: { purchaseOrder: slots[0]?.purchaseOrder, replicas: slots, grants } };
      };
    };
    const two: Wanted = { ...wanted, replicas: 2, assurance: "replicated" };
    answer(other);
    expect((await placeReplicas(client, two, JOB)).map(({ po }) => po.payload.slot)).toEqual([0, 1]);
    answer(server);
    await expect(placeReplicas(client, two, JOB)).rejects.toThrow(/1 owners for 2 replicas/);
    expect(client.kinds()).toEqual(["order", "order", "stop", "stop"]);
  });
});

it("signs what a purchase order is checked against", () => {
  expect(signOrder(client, market.info, wanted, JOB).payload.channelKey).toMatch(/^[0-9a-f]{64}$/);
});

it("that is fetched again is the one of the lease that was asked for: another has its own job and budget", async () => {
  const bind = (over: Partial<Own<"order">>) => market.purchaseOrder(market.order(customer, over), server, market.offer(server));
  const [small, large] = [bind({ budgetNanos: "50000000" }), bind({ budgetNanos: "10000000000" })];
  const leaves = [...customer.grants, ...server.grants].map((envelope) => ({ envelope }));
  const shows = ({ envelope }: typeof small): void => {
    const documents = [{ kind: "purchase-order", envelope }];
    client.answers.receipt = () => ({ documents, leaves }) as unknown as RouteReply<"receipt">;
  };
  shows(small);
  expect((await fetchBound(client, small.id)).po.id).toBe(small.id);
  shows(large);
  await expect(fetchBound(client, small.id)).rejects.toMatchObject({ code: "broken_purchase_order", why: "it is that of another lease" });
});
