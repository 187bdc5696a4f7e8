import { beforeEach, expect, it } from "vitest";
import { OwnOffers } from "./own-offers.ts";

let offers: OwnOffers;
beforeEach(() => (offers = new OwnOffers()));
/** Of the numbers 1 to 12, those that bind. */
const binding = (now = 0): number[] =>
  Array.from({ length: 12 }, (_, i) => i + 1).filter((sequence) => offers.binds({ sequence, validUntil: 100 }, now));

it("binds the last two that the broker took, and what was signed since", () => {
  expect(binding()).toEqual([]);
  offers.signed(9);
  offers.taken(9);
  offers.taken(10);
  expect(binding()).toEqual([9, 10, 11, 12]);
  offers.taken(12);
  expect(binding()).toEqual([10, 11, 12]);
});

it("binds on what it did as a link came up, until what comes from before was looked at", async () => {
  offers.signed(7);
  for (const sequence of [7, 8]) offers.taken(sequence);
  const asTaken: number[] = [];
  await offers.lookBack(async () => {
    for (const sequence of [9, 10, 11]) offers.taken(sequence);
    asTaken.push(...binding());
  });
  expect(asTaken).toEqual([7, 8, 9, 10, 11, 12]);
  offers.taken(12);
  expect(binding()).toEqual([11, 12]);
  await expect(offers.lookBack(() => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
  offers.taken(13);
  expect(binding()).toEqual([12]);
});

it("a daemon that has just started is bound by the last two of the one before", () => {
  offers.signed(7);
  expect(binding()[0]).toBe(5);
  offers.taken(7);
  expect(binding()[0]).toBe(5);
  offers.taken(8);
  expect(binding()[0]).toBe(7);
});

it("is bound by them before it has signed anything itself, and knows which are its own", () => {
  offers.follows(6);
  expect(binding()[0]).toBe(5);
  expect(offers.isOwn(6)).toBe(false);
  offers.signed(7);
  expect(binding()[0]).toBe(5);
  expect([6, 7].map((sequence) => offers.isOwn(sequence))).toEqual([false, true]);
});

it("an answer that comes late makes nothing older bind", () => {
  offers.signed(9);
  for (const sequence of [9, 11, 10]) offers.taken(sequence);
  expect(binding()).toEqual([9, 10, 11, 12]);
});

it("an offer that has run out binds nobody", () => {
  offers.signed(9);
  expect(binding(100)[0]).toBe(7);
  expect(binding(101)).toEqual([]);
});
