/** The broker's keys in its operator's name: only these, once under a number, and for everyone to read. */
import { expect, it } from "vitest";
import { Harness } from "./harness.ts";

it("are published once, and nobody is told of keys that this broker does not have", async () => {
  const h = await Harness.open();
  const { keys } = h.market;
  const party = await h.party();
  const others = { ...keys, checkpoints: "ab".repeat(32) };
  expect(await h.act(h.operator, "market-keys", { keys: others, sequence: 1 })).toMatchObject({ code: "not_yours" });
  expect(await h.act(party.signer, "market-keys", { keys, sequence: 1 })).toMatchObject({ code: "operator_only" });
  expect(await h.store.documentsOfKind("market-keys")).toEqual([]);
  const document = h.sign(h.operator, "market-keys", { keys, sequence: 1 });
  expect((await h.submit(document)).code).toBeUndefined();
  expect((await h.submit(document)).code).toBeUndefined();
  expect((await h.store.documentsOfKind("market-keys")).map(({ id }) => id)).toEqual([document.id]);
});
