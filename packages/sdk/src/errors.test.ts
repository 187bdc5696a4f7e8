import { ERROR_CODES, isErrorCode, refuse } from "@xenoservers/protocol";
import { expect, it } from "vitest";
import {
  AbortedError,
  BrokenWordError,
  ContextError,
  EarlierFailedError,
  GivenUpError,
  InUseError,
  InputError,
  JobFailedError,
  KeptError,
  LeftOpenError,
  LeftUndoneError,
  MarketError,
  NotComparedError,
  NotStartedError,
  RefusedError,
  SDK_CODES,
  StalledError,
} from "./errors.ts";
import { BrokenPurchaseOrder } from "./purchase-order.ts";
import { NotDelivered } from "./session/fetches.ts";

const ERRORS: readonly MarketError[] = [
  new InputError("x"),
  new ContextError("x"),
  new KeptError("x"),
  new InUseError("x"),
  new AbortedError(null),
  new GivenUpError("l", "withdrawn", null),
  new BrokenPurchaseOrder("x", null, []),
  new BrokenWordError("x"),
  new NotStartedError("x"),
  new NotDelivered("x"),
  new EarlierFailedError("l", "x"),
  new JobFailedError("l", "x"),
  new LeftUndoneError("x"),
  new LeftOpenError(["l"], null),
  new NotComparedError(["l"], "x"),
  new StalledError("x"),
];

it("each code of this library is a class's, once, and none is the market's", () => {
  expect(ERRORS.map(({ code }) => code).toSorted()).toEqual(Object.keys(SDK_CODES).toSorted());
  expect(Object.keys(SDK_CODES).filter(isErrorCode)).toEqual([]);
  for (const error of ERRORS) expect(error).toMatchObject(SDK_CODES[error.code as keyof typeof SDK_CODES]);
});

it("says of every refusal whose fault it is, and what it did to the money", () => {
  for (const code of Object.keys(ERROR_CODES).filter(isErrorCode)) {
    const error = new RefusedError(refuse(code));
    const { blame, retryable, says } = ERROR_CODES[code];
    expect(error).toMatchObject({ code, blame, retryable, next: says });
    expect(error.money).toBe(["unavailable", "internal", "too_slow"].includes(code) ? "unknown" : "none");
    expect(error).toBeInstanceOf(MarketError);
  }
});

it("has the market's own words for this case, and nothing that a terminal would obey", () => {
  expect(new RefusedError(refuse("no_match", { explanation: "region excluded 1" })).message).toBe("no_match: region excluded 1");
  expect(new RefusedError(refuse("bad_condition", { why: "\u001b[2J" })).message).not.toContain("\u001b");
});

it("does not promise that money is safe where nobody has heard of the withdrawal", () => {
  expect(new GivenUpError("l", "unheard", new Error("x")).money).toBe("unknown");
  expect(new GivenUpError("l", "over", new Error("x")).money).toBe("by-terms");
});
