import { refuse } from "@xenoservers/protocol";
import { ContextError, RefusedError } from "@xenoservers/sdk";
import { expect, it } from "vitest";
import { isOfAnotherKey } from "./of-another-key.ts";

it("tells a lease of another key from what can be tried again, and from what is wrong", () => {
  const of = [new ContextError("ordered by another of your keys"), new RefusedError(refuse("unavailable")), new TypeError("x"), null];
  expect(of.map(isOfAnotherKey)).toEqual([true, false, false, false]);
});
