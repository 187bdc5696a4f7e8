/** Prices that strangers sign, at the ends of what may be signed: they cost whoever pays them at most, and nobody else. */
import { beforeEach, expect, it } from "vitest";
import { NANOS_MAX } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import type { Identity } from "@xenoservers/sdk";
import { Harness } from "./harness.ts";

let h: Harness;
let customer: Identity;
beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(10_000_000n);
});

const most = NANOS_MAX.toString();
const free = {
  vcpuNanosPerSecond: "0",
  memoryGibNanosPerSecond: "0",
  diskGibNanosPerSecond: "0",
  gigaFuelNanos: "0",
  egressGibNanos: "0",
};
const machines: Partial<Payload<"offer">> = { drivers: ["qemu"], accel: "emulated", egress: "public" };
const wanted: Partial<Payload<"order">> = { driver: "qemu", egress: "public", egressMibMax: 1024 };

it("a server whose egress nobody pays for takes no order from one behind it", async () => {
  const dear = await h.server({ ...machines, price: { ...free, vcpuNanosPerSecond: "1", egressGibNanos: most } });
  const usual = await h.server({ ...machines, price: { ...free, vcpuNanosPerSecond: "1000", egressGibNanos: "10" } });
  const bound = await h.submit(h.order(customer, wanted));
  expect((await h.lease(String(bound["lease"]))).server).toBe(usual.id);
  h.index.setOnline(usual.id, false);
  expect(await h.submit(h.order(customer, wanted))).toMatchObject({ code: "insufficient_funds" });
  expect(h.index.get(dear.id)?.free.vcpu).toBe(2);
});

it("where work is for nothing and egress is not, no more is held than the budget, and nothing fails", async () => {
  await h.server({ ...machines, price: { ...free, egressGibNanos: most } });
  for (const egressMibMax of [1024, 1_073_741_824])
    expect(await h.submit(h.order(customer, { ...wanted, egressMibMax }))).toMatchObject({ code: "insufficient_funds" });
});

it("an extension that nobody can hold the money for is refused", async () => {
  const own = await h.server({ maxLeaseMs: 31_536_000_000, price: { ...free, vcpuNanosPerSecond: "100000000000" } });
  const rich = await h.party(1_000_000_000n);
  const bound = await h.submit(h.order(rich, { budgetNanos: "1000000000" }));
  const lease = String(bound["lease"]);
  await h.accept(own, lease);
  const extend = (durationMsMax: number) => h.act(rich.signer, "extension", { lease, party: rich.party, durationMsMax, previous: lease });
  expect(await extend(31_536_000_000)).toMatchObject({ code: "insufficient_funds" });
  expect(await extend(60_000)).toMatchObject({ code: "insufficient_funds", missingNanos: expect.any(String) });
});
