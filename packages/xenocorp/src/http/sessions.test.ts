import { afterEach, beforeEach, expect, it } from "vitest";
import { World, type Party } from "./world.fixture.ts";

let world: World;
let customer: Party;
beforeEach(async () => {
  world = new World();
  await world.start();
  customer = await world.party();
});
afterEach(() => world.close());

it("a key that was revoked by a clock ahead of this one is revoked here", async () => {
  const device = await world.key(customer, "device");
  const key = (await world.store.load("key", [device.publicKey])).get(device.publicKey)?.data;
  if (!key) throw new Error("no such key");
  const { token } = world.sessions.token({ by: "party", party: key.party, key });
  expect((await world.sessions.check(token)).ok).toBe(true);
  await world.must(customer.root, "key-revoke", { party: customer.id, key: device.publicKey, reason: "" });
  world.now -= 50;
  expect(await world.sessions.check(token)).toMatchObject({ code: "key_revoked" });
});
