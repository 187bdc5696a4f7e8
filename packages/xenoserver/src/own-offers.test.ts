import { expect, it } from "vitest";
import { OwnOffers } from "./own-offers.ts";

function signedOffers(...ids: string[]): OwnOffers {
  const offers = new OwnOffers();
  for (const [i, id] of ids.entries()) offers.signed(id, 100 + i);
  return offers;
}

it("binds the last two that the broker took, and what it has not answered", () => {
  const offers = signedOffers("a", "b", "c", "d");
  expect(offers.binding(0)).toEqual(["a", "b", "c", "d"]);
  offers.taken("a");
  expect(offers.binding(0)).toEqual(["a", "b", "c", "d"]);
  offers.taken("b");
  offers.taken("c");
  expect(offers.binding(0)).toEqual(["b", "c", "d"]);
  offers.taken("d");
  expect(offers.binding(0)).toEqual(["c", "d"]);
});

it("a refused offer binds nobody, and makes no taken one old", () => {
  const offers = signedOffers("a", "b", "c");
  offers.taken("a");
  offers.refused("b");
  offers.refused("c");
  expect(offers.binding(0)).toEqual(["a"]);
});

it("an offer that has run out binds nobody", () => {
  const offers = signedOffers("a", "b");
  expect(offers.binding(101)).toEqual(["b"]);
  expect(offers.binding(102)).toEqual([]);
});
