/** What a way of ordering could do nothing with is refused in words before anything is read, quoted or signed. */
import { expect, it } from "vitest";
import type { MarketClient } from "../client.ts";
import { beyond } from "./all-beyond.ts";
import { OpenMarket } from "./market.ts";
import { assertTaken } from "./not-taken.ts";
import type { RunInput } from "./run-input.ts";

/** One that reads nothing, and is asked nothing. */
const client = {
  identity: { scopes: ["spend", "read"], account: "a" },
  pins: { origin: "o" },
  timers: { now: () => 0 },
} as unknown as MarketClient;
const here = { plan: () => Promise.reject(new Error("it was read")), mapJournal: () => Promise.reject(new Error("it was opened")) };
const market = new OpenMarket(client, here as unknown as ConstructorParameters<typeof OpenMarket>[1], beyond);
const onInput = (): null => null;
const signal = new AbortController().signal;

it.each<[Partial<RunInput>, RegExp]>([
  [{ onInput }, /onInput feeds one program, and a map runs jobs again/],
  [{ after: ["abcdef012345"] }, /after is for market\.run/],
  [{ wait: "1h" }, /wait is for market\.run/],
  [{ onState: () => {} }, /onState is told of one run/],
  [{ onReceipt: () => {} }, /onReceipt is told of one run/],
  [{ signal }, /signal calls one run off/],
  [{ replicas: 3 } as Partial<RunInput>, /replicas is for market\.run/],
])("a map does not take %o", async (options, says) => {
  const [mapped] = await market.map(["a"], { image: "alpine", ...options }).all;
  expect(mapped).toMatchObject({ ok: false, error: { code: "bad_input", message: expect.stringMatching(says) } });
});

it.each<[Partial<RunInput>, RegExp]>([
  [{ onInput }, /onInput feeds one program, and replicas are several/],
  [{ wait: "1h" }, /wait is for one server/],
  [{ onLease: () => {} }, /onLease is of one lease/],
])("replicas do not take %o", async (options, says) => {
  await expect(market.run({ image: "alpine", replicas: 2, ...options })).rejects.toMatchObject({
    code: "bad_input",
    message: expect.stringMatching(says),
  });
});

it("takes everything else, and what is not given", () => {
  expect(() => assertTaken("map", { onInput: undefined, args: ["a"], onNote: () => {}, onWarning: () => {} })).not.toThrow();
  expect(() => assertTaken("replicas", { onState: () => {}, signal })).not.toThrow();
});
