import { ERROR_CODES, refuse } from "@xenoservers/protocol";
import { InputError, RefusedError } from "@xenoservers/sdk";
import { expect, it } from "vitest";
import { told } from "./problem-words.ts";

it("tells each refusal by its code, blame, money and next step", () => {
  for (const code of Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[]) {
    const { blame, money, next, ...said } = told(new RefusedError(refuse(code)));
    expect(said.code).toBe(code);
    expect(
      [blame, money, next].every((text) => text !== undefined && text !== ""),
      code,
    ).toBe(true);
  }
});

it("says that nothing was signed where what was typed cannot be", () => {
  expect(told(new InputError("no"))).toMatchObject({ code: "bad_input", says: "no", money: "nothing was ordered, held or charged" });
});

it("takes the blame for what is none of the market's", () => {
  expect(told(new TypeError("x\u202E is undefined"))).toMatchObject({ code: null, says: "x\\u202e is undefined", blame: "this page" });
});

it("says that no money moved where something was only to be read", () => {
  for (const error of [new RefusedError(refuse("unavailable")), new TypeError("x")])
    expect([told(error).money, told(error, true).money]).toEqual([
      "what was sent may have been taken: look at your leases",
      "none of it moved: it was only to be read",
    ]);
});
