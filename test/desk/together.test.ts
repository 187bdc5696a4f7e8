/** Documents that come together are done together; each is somebody else's. */
import { beforeEach, expect, it } from "vitest";
import { moneyKey } from "@xenoservers/market";
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

it("what the books cannot hold fails by name, and nothing that came with it", async () => {
  const most = 2n ** 63n - 1n;
  const available = moneyKey(customer.account, "available");
  const full = { id: "full", debit: "source/x", credit: available, amount: most - 1n, short: null } as const;
  const nothing = { uniques: [], puts: [], documents: [], events: [] };
  await h.store.commit([{ id: "full", answer: {}, ...nothing, floors: [{ key: "source/x", floor: null }], transfers: [full] }]);
  const credit = (amountNanos: string) =>
    h.act(h.operator, "credit", { party: customer.party, amountNanos, source: "bank", reference: "", clientId: h.id() });
  const limit = { party: customer.party, account: customer.account, limitNanos: null, clientId: h.id() };
  const [small, late, honest] = await Promise.all([credit("1"), credit("2"), h.act(customer.signer, "account-limit", limit)]);
  for (const taken of [small, honest]) expect(taken?.code).toBeUndefined();
  expect(late).toMatchObject({ code: "not_kept", change: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(h.refused).toEqual([late?.["change"]]);
  expect(await h.balance(available)).toBe(most);
  expect((await h.store.proveBooks()).wrong).toEqual([]);
});
