/** What an offer says by labels: the owner's own words, and what the server itself can do. */
import { DEFAULT_TIMINGS } from "@xenoservers/market";
import { LABELS_MAX, RUNS_LABEL, SCREEN_LABEL, zLabels } from "@xenoservers/protocol";
import { SimClock, Random } from "@xenoservers/testkit";
import { describe, expect, it } from "vitest";
import type { GuestDriver } from "./drivers/driver.ts";
import { driversByName } from "./drivers/registry.ts";
import { offerOf } from "./listing.ts";
import { FakeMarket } from "./testing/fake-market.ts";
import { LISTING, TestServer } from "./testing/test-server.ts";

const { sim } = new TestServer(new FakeMarket(new SimClock(0, new Random(1))));
const labelsIn = (labels: Record<string, string>, screens: boolean, runs = false): Record<string, string> => {
  const driver: GuestDriver = { ...sim, capabilities: { ...sim.capabilities, screens, runs } };
  const own = { origin: "m", seen: null, owner: "o", server: "s", sequence: 1, validUntil: 1, channelKey: "k" };
  const terms = { feeBasisPointsMax: 500, timings: DEFAULT_TIMINGS };
  return offerOf({ ...LISTING, labels }, driversByName([driver]), terms, own).labels;
};

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
