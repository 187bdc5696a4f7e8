/** What an offer says: by labels, the owner's own words and what the server itself can do; and to whom what is offered. */
import { DEFAULT_TIMINGS } from "@xenoservers/market";
import { LABELS_MAX, RUNS_LABEL, SCREEN_LABEL, zLabels } from "@xenoservers/protocol";
import { SimClock, Random } from "@xenoservers/testkit";
import { describe, expect, it } from "vitest";
import type { GuestDriver } from "./drivers/driver.ts";
import { driversByName } from "./drivers/registry.ts";
import { offerOf, type Listing } from "./listing.ts";
import { FakeMarket } from "./testing/fake-market.ts";
import { LISTING, TestServer } from "./testing/test-server.ts";

const { sim } = new TestServer(new FakeMarket(new SimClock(0, new Random(1))));
const offered = (listing: Partial<Listing>, ...drivers: GuestDriver[]) => {
  const own = { origin: "m", seen: null, owner: "o", server: "s", sequence: 1, validUntil: 1, channelKey: "k" };
  const terms = { feeBasisPointsMax: 500, timings: DEFAULT_TIMINGS };
  return offerOf({ ...LISTING, ...listing }, driversByName(drivers), terms, own);
};
const labelsIn = (labels: Record<string, string>, screens: boolean, runs = false): Record<string, string> =>
  offered({ labels }, { ...sim, capabilities: { ...sim.capabilities, screens, runs } }).labels;

describe("an offer's labels", () => {
  it("say that there are screens where a driver has them, and there alone, whatever the owner writes", () => {
    expect(SCREEN_LABEL).toEqual({ name: "screen", value: "vnc" });
    expect(labelsIn({ region: "eu" }, true)).toEqual({ region: "eu", screen: "vnc" });
    expect(labelsIn({ region: "eu", screen: "vnc" }, false)).toEqual({ region: "eu" });
    expect(labelsIn({ screen: "8k" }, true)).toEqual({ screen: "vnc" });
  });

  it("say that jobs of several runs are done where a driver does them, as long as there is room for one more", () => {
    expect(RUNS_LABEL).toEqual({ name: "wasm-runs", value: "1" });
    expect(labelsIn({ region: "eu" }, false, true)).toEqual({ region: "eu", "wasm-runs": "1" });
    expect(labelsIn({ "wasm-runs": "1" }, false)).toEqual({});
    const full = Object.fromEntries(Array.from({ length: LABELS_MAX }, (_, i) => [`l${i}`, "x"]));
    expect(labelsIn(full, false, true)).toEqual(full);
    expect(zLabels.safeParse(labelsIn({ region: "eu" }, true, true)).success).toBe(true);
  });
});

describe("an offer", () => {
  const weak: GuestDriver = { ...sim, sandbox: { strength: "weak", why: "" } };
  const qemu: GuestDriver = { ...sim, name: "qemu" };
  const of = (listing: Partial<Listing>, ...drivers: GuestDriver[]) => {
    const { drivers: names, allowedParties } = offered(listing, ...drivers);
    return { names, allowedParties };
  };

  it("offers strangers nothing that strangers are refused: of weak sandboxes, what the owner allows", () => {
    expect(of({}, sim, qemu)).toEqual({ names: ["wasm", "qemu"], allowedParties: [] });
    expect(of({}, weak)).toEqual({ names: ["wasm"], allowedParties: ["o"] });
    expect(of({ allowedParties: ["friend"] }, weak)).toEqual({ names: ["wasm"], allowedParties: ["o"] });
    expect(of({}, weak, qemu)).toEqual({ names: ["qemu"], allowedParties: [] });
    expect(of({ allowWeakSandbox: true }, weak, qemu)).toEqual({ names: ["wasm", "qemu"], allowedParties: [] });
  });
});
