/** Documents that come together are done together; each is somebody else's. */
import { beforeEach, expect, it } from "vitest";
import type { Identity } from "@xenoservers/sdk";
import { Harness } from "./harness.ts";

let h: Harness;
let customer: Identity;
beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party();
});

it("what fails with one document is nothing to those that came with it", async () => {
  const load = h.store.load.bind(h.store);
  const broken = "ee".repeat(32);
  h.store.load = (kind, ids) => (ids.includes(broken) ? Promise.reject(new Error("a defect")) : load(kind, ids));
  const limit = () => ({ party: customer.party, account: customer.account, limitNanos: null, clientId: h.id() });
  const [failed, ...others] = await Promise.allSettled([
    h.act(customer.signer, "batch-close", { party: customer.party, batch: broken }),
    ...[1, 2, 3].map(() => h.act(customer.signer, "account-limit", limit())),
  ]);
  expect(failed).toMatchObject({ status: "rejected", reason: { message: "a defect" } });
  for (const other of others) expect(other).toMatchObject({ status: "fulfilled", value: { id: expect.any(String) } });
});
