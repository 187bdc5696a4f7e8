/** What is said of a lease last (a stop, an amendment, a delivery) is told, however much was said before it. */
import { expect, it } from "vitest";
import { briefOf } from "./brief.ts";
import { change, document } from "./contract.fixture.ts";
import { createMemoryStore } from "./memory.ts";

it.each([0, 1, 1_000, 12_345])("leaves out claims alone, of %i documents and of their claims", async (count) => {
  const store = createMemoryStore(() => 1_000);
  const others = Array.from({ length: count }, (_, i) => document(`d${i}`, "aa1"));
  const claims = (["claim", "claim-receipt"] as const).map((kind) => ({ ...document(kind, "aa1"), kind }));
  await store.commit([change({ id: "c", documents: [...claims, ...others, document("other", "bb1")] })]);
  expect((await briefOf(store, "aa1")).map(({ id }) => id)).toEqual(others.map(({ id }) => id));
});
