/**
 * Thousands of forgeries of every kind of end: none says `proved` and lies, and no honest receipt is refused. `npm run bench --
 * forgeries` plays 100,000.
 */
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { expect, it } from "vitest";
import { cases } from "../../../../test/thorough.ts";
import { playForgeries } from "../testing/forgeries.ts";

const COUNT = cases(500, 3_000);

it("never says `proved` of what is false", () => {
  const { refused, lies, forgeries, honest, unharmed } = playForgeries({ crypto, createSigner }, { count: COUNT, seed: 8 });
  expect({ refused, lies }).toEqual({ refused: [], lies: [] });
  expect(forgeries).toBe(COUNT);
  expect(honest).toBeGreaterThan(COUNT / 15);
  // most of what is changed is noticed, and what is not leaves everything true that is said
  expect(unharmed).toBeLessThan(COUNT / 4);
});
