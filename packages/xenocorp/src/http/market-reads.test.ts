/** What a search is answered that no order could ask for. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { World } from "./world.fixture.ts";

let world: World;
beforeEach(async () => {
  world = new World();
  await world.start();
});
afterEach(() => world.close());

it.each(["mem>=900T", "cpu>=100000", "disk>=9999999T"])("a search for %s is refused in words, and is no fault of the broker", async (q) => {
  const answer = await world.app.inject(`/api/v1/offers?q=${encodeURIComponent(q)}`);
  expect(answer.statusCode).toBe(400);
  expect(answer.json()).toMatchObject({
    error: { code: "bad_condition", condition: q, why: expect.stringContaining("no order asks for so much") },
  });
});

it("a search for much that an order may ask for finds nothing and says why", async () => {
  const answer = await world.app.inject(`/api/v1/offers?q=${encodeURIComponent("mem>=900G")}`);
  expect(answer.json()).toMatchObject({ offers: [], resources: { memoryMib: 921_600 } });
});
