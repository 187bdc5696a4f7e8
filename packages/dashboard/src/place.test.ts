import { expect, it } from "vitest";
import { linkTo, linkToLease, placeOf, type PlainPlace } from "./place.ts";

it("is read back from each link", () => {
  for (const at of ["market", "enter", "leases", "run", "wallet", "servers"] satisfies PlainPlace[])
    expect(placeOf(linkTo(at))).toEqual({ at });
  expect(placeOf(linkToLease("ab12cd34"))).toEqual({ at: "lease", lease: "ab12cd34" });
});

it.each(["", "#", "#/nowhere", "#/lease/", "#/lease/../x", "#/lease/<b>", "javascript:alert(1)", "#/toString"])(
  "leads from '%s' to the market",
  (hash) => {
    expect(placeOf(hash)).toEqual({ at: "market" });
  },
);
