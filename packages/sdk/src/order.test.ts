import { PaperMarket, Random } from "@xenoservers/testkit";
import { systemTimers } from "@xenoservers/protocol/link";
import type { OfferView } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import { PaperClient } from "../../../test/support/paper-client.ts";
import { InputError } from "./errors.ts";
import { ORDER_VALID_MS, quoteFor, signOrder, type Wanted } from "./order.ts";

const wanted: Wanted = {
  resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
  conditions: [{ key: "region", op: "=", value: "eu" }],
  terms: "on-result",
  assurance: "isolated",
  on: "mine",
  maxPriceNanosPerHour: 5n,
  durationMsMax: 60_000,
  fuelMax: 10n ** 12n,
  budgetNanos: 10n ** 9n,
  label: "mine",
};

const market = new PaperMarket(new Random(1), Date.now());
const client = new PaperClient(market, systemTimers, new Uint8Array(32).fill(1));

it("signs the timings and the fee that the market announces, the higher of two", () => {
  const announced = { ...market.info, feeBasisPoints: 200, announcedFee: { basisPoints: 300, effectiveAt: 1 } };
  const { payload } = signOrder(client, announced, wanted, "a".repeat(64));
  expect(payload).toMatchObject({
    feeBasisPointsMax: 300,
    timings: announced.timings,
    on: "mine",
    driver: "wasm",
    account: client.identity.account,
  });
  expect(payload.expiresAt - client.timers.now()).toBeLessThanOrEqual(ORDER_VALID_MS);
});

it.each<[Partial<Wanted>, RegExp]>([
  [{ label: "x".repeat(65) }, /^label cannot be ordered so: at most 64 letters$/],
  [{ budgetNanos: 10n ** 40n }, /^budget cannot be ordered so: must be a decimal integer of nanos$/],
  [{ batch: "zzz" }, /^batch cannot be ordered so: must be 32 bytes of lowercase hex$/],
  [{ durationMsMax: 0.5 }, /^maxTime cannot be ordered so: /],
])("says in words what no order can say: %o", (over, why) => {
  const sign = (): unknown => signOrder(client, market.info, { ...wanted, ...over }, "a".repeat(64));
  expect(sign).toThrow(InputError);
  expect(sign).toThrow(why);
});

it("signs no more than its customer's own limit of the fee, and the account that was named", () => {
  const account = `a_${"c".repeat(40)}`;
  const { payload } = signOrder(
    client,
    { ...market.info, feeBasisPoints: 200 },
    { ...wanted, feeBasisPointsMax: 100, account },
    "a".repeat(64),
  );
  expect(payload).toMatchObject({ feeBasisPointsMax: 100, account });
});

it("asks for no offer that is dearer than the order will allow", async () => {
  const asked: unknown[] = [];
  const dear = new PaperClient(market, systemTimers, new Uint8Array(32).fill(1));
  dear.answers.offers = ({ query }) => (
    asked.push(query?.["q"]),
    { offers: [], resources: wanted.resources, excluded: {}, explanation: "", next: null }
  );
  for (const maxPriceNanosPerHour of [50_000_001n, null, 10n ** 30n])
    await quoteFor(dear, { ...wanted, maxPriceNanosPerHour, waitMs: 1 }).catch(() => {});
  expect(new Set(asked)).toEqual(new Set(["region=eu price<=0.050000001", "region=eu"]));
});

it("refuses in words where no server fits", async () => {
  client.answers.offers = () => ({
    offers: [],
    resources: wanted.resources,
    excluded: { "not-allowed": 1 },
    explanation: "not-allowed excluded 1",
    next: null,
  });
  await expect(quoteFor(client, wanted)).rejects.toMatchObject({
    refusal: { code: "no_match", facts: { explanation: "not-allowed excluded 1" } },
  });
});

it("says of a market where nothing fits what keeps it out for good, not what does for now", async () => {
  const answer = { offers: [], resources: wanted.resources, next: null };
  client.answers.offers = ({ query }) =>
    query?.["later"] === "true"
      ? { ...answer, excluded: { duration: 1 }, explanation: "duration excluded 1" }
      : { ...answer, excluded: { offline: 1 }, explanation: "offline excluded 1" };
  await expect(quoteFor(client, wanted)).rejects.toMatchObject({ refusal: { code: "no_match", facts: { excluded: { duration: 1 } } } });
});

it("quotes the first server that the budget pays for, not one that is cheap by the hour and dear by what is sent", async () => {
  const owner = market.party("olga");
  const offered = (egressGibNanos: string): OfferView => {
    const server = market.server(owner);
    const { payload, id } = market.offer(server);
    const price = { ...payload.price, egressGibNanos };
    const record = { leases: 0, completed: 0, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 };
    return { ...payload, price, server: server.id, offerId: id, free: payload.resources, priceNanosPerHour: "1", record };
  };
  const [dear, usual] = [offered("1000000000000000"), offered("10")];
  const answer = (offers: OfferView[]) => () => ({ offers, resources: wanted.resources, excluded: {}, explanation: "", next: null });
  const sent = { ...wanted, egressMibMax: 1024 };
  client.answers.offers = answer([dear, usual]);
  expect((await quoteFor(client, sent)).offer.offerId).toBe(usual.offerId);
  client.answers.offers = answer([dear]);
  expect(await quoteFor(client, sent)).toMatchObject({ offer: { offerId: dear.offerId }, quote: { fuelMax: 0n } });
});
