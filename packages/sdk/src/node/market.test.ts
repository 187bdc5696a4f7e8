import { expect, it } from "vitest";
import { MarketClient } from "../client.ts";
import { identityOf } from "../identity.ts";
import { Market } from "./market.ts";

it.each([{}, 5, null, ["cpu>=2"]])("conditions that are no text are refused in words: %j", async (conditions) => {
  const market = Market.of(new MarketClient("http://127.0.0.1:1", {} as never, identityOf(new Uint8Array(32))));
  await expect(market.search(conditions as never)).rejects.toMatchObject({
    code: "bad_input",
    message: expect.stringContaining("conditions are a text"),
  });
});
