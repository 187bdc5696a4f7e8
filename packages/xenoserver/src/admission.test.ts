import { expect, it } from "vitest";
import { wirePriceOf } from "@xenoservers/market";
import { systemTimers } from "@xenoservers/protocol/link";
import { admissionProblem, askedTooMuch, type Admission } from "./admission.ts";
import { createSimDriver } from "./drivers/sim/sim-driver.ts";
import { driversByName } from "./drivers/registry.ts";
import type { Ordered } from "./drivers/driver.ts";
import { orderedFor } from "./testing/ordered.ts";
import { LISTING } from "./testing/test-server.ts";

const sim = createSimDriver(systemTimers);
const ordered = orderedFor({ jobHash: "11".repeat(32), resources: { vcpu: 1, memoryMib: 512, diskMib: 32 } });
const bound: Ordered = {
  ...ordered,
  po: {
    ...ordered.po,
    price: wirePriceOf(LISTING.price),
    acceptBy: 10,
    owner: "o",
    server: "s",
    serverKey: "k",
    customer: "c",
    offerId: "1",
  },
};
const admission: Admission = {
  ...{
    server: "s",
    serverKey: "k",
    owner: "o",
    now: 9,
    clock: { offsetMs: 4_000 },
    isBinding: true,
    isOwnOffer: false,
    isListed: true,
    listing: LISTING,
    placed: [],
  },
  drivers: driversByName([sim]),
};
const weak = driversByName([{ ...sim, sandbox: { strength: "weak", why: "" } }]);
const placed = (memoryMib: number, diskMib: number) => ({ resources: { vcpu: 1, memoryMib, diskMib }, driver: "wasm" as const });

const why = (over: Partial<Admission> = {}, po: Partial<Ordered["po"]> = {}, order: Partial<Ordered["order"]> = {}) =>
  admissionProblem({ ...admission, ...over }, { po: { ...bound.po, ...po }, order: { ...bound.order, ...order } });

it("accepts what the owner has listed", () => {
  expect(why()).toBeNull();
  expect(why({ placed: [placed(512, 32)] })).toBeNull();
});

it.each([
  ["another server's", why({}, { server: "t" }), "another server"],
  ["another key's", why({}, { serverKey: "l" }), "another server"],
  ["another owner's", why({}, { owner: "p" }), "another server"],
  ["an offer that is not current", why({ isBinding: false }), "not current"],
  ["at a price of before", why({ listing: { ...LISTING, price: { ...LISTING.price, gigaFuelNanos: 601n } } }), "price"],
  ["outside the owner's hours, or while it drains", why({ isListed: false }), "not listed"],
  ["late", why({ now: 10 }), "acceptBy; this machine's clock was 4.0 s ahead of the market's"],
  ["without the driver", why({}, {}, { driver: "qemu" }), "driver qemu"],
  ["a stranger's in a weak sandbox", why({ drivers: weak }), "too weak"],
  ["a stranger's where only some are served", why({ listing: { ...LISTING, allowedParties: ["d"] } }), "not served"],
  ["with a network that the driver has not", why({}, {}, { egress: "public" }), "no network"],
  ["over the capacity", why({ placed: [placed(600, 16)] }), "capacity"],
  ["over the disk", why({ placed: [placed(64, 33)] }), "capacity"],
])("refuses one that is %s", (_name, problem, says) => {
  expect(problem).toContain(says);
});

it("serves its owner where strangers are not", () => {
  const own = { customer: "o" };
  expect(why({ drivers: weak }, own)).toBeNull();
  expect(why({ listing: { ...LISTING, allowedParties: ["d"] } }, own)).toBeNull();
  expect(why({ listing: { ...LISTING, allowedParties: ["c"] } })).toBeNull();
  expect(why({ drivers: weak, listing: { ...LISTING, allowWeakSandbox: true } })).toBeNull();
});

it("says what an order asks for that cannot be had here although it is offered: files in memory, of which there is less than disk", () => {
  const asked = (over: Partial<Admission>) => askedTooMuch({ ...admission, ...over }, bound);
  const listing = { ...LISTING, memoryDiskMib: 60 };
  expect([asked({}), asked({ listing }), asked({ listing, placed: [placed(64, 28)] })]).toEqual([null, null, null]);
  expect(asked({ listing, placed: [placed(64, 30)] })).toContain("has 30 MiB for them now, the order wants 32: order less disk");
  const onDisk = { ...sim, capabilities: { ...sim.capabilities, filesInMemory: false } };
  expect(asked({ listing, placed: [placed(64, 30)], drivers: driversByName([onDisk]) })).toBeNull();
});
