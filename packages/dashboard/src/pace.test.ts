import { expect, it } from "vitest";
import { Pace, paceText } from "./pace.ts";

const MIB = 1024 * 1024;

it("counts what moved since it began, once that says something", () => {
  const pace = new Pace(100, 5_000);
  expect([pace.at(200, 5_500), pace.at(1_100, 6_000), pace.at(1_100, 15_000)]).toEqual([null, 1_000, 100]);
});

it("is put in words", () => {
  expect([paceText(null, 5), paceText(0, 5), paceText(2 * MIB, null)]).toEqual(["", "", ", 2.0 MiB a second"]);
  expect(paceText(2 * MIB, 180 * MIB)).toBe(", 2.0 MiB a second, 1 min 30 s left");
});
