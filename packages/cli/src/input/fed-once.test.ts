import { expect, it } from "vitest";
import { assertFedOnce } from "./fed-once.ts";

it.each([
  [{ retries: 2, replicas: 1 }, /^--retries runs the image's program more than once.*--no-stdin.*--in/],
  [{ retries: null, replicas: 3 }, /^--replicas runs/],
])("what is fed as it comes is not for %o", (options, says) => {
  expect(() => assertFedOnce({ isFed: true }, options)).toThrow(says);
  // what a module reads was read to its end before, and is the same for each
  expect(() => assertFedOnce({ isFed: false }, options)).not.toThrow();
});

it("is for one run", () => {
  expect(() => assertFedOnce({ isFed: true }, { retries: null, replicas: 1 })).not.toThrow();
});
