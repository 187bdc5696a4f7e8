import { describe, expect, it } from "vitest";
import { keyCalled, tokenScopes, type KeyView } from "./tokens.ts";

describe("what a token may do", () => {
  it("is what was said, or what running jobs takes", () => {
    expect(tokenScopes(null, true)).toEqual(["spend", "control", "read"]);
    expect(tokenScopes(["dispute", "read"], false)).toEqual(["dispute", "read"]);
  });

  it.each<[string, Parameters<typeof tokenScopes>, RegExp]>([
    ["what no token can", [["manage", "read"], false], /a token cannot manage/],
    ["a machine's scope", [["serve"], false], /a token cannot serve/],
    ["nothing", [[], false], /a token cannot do nothing/],
    ["spending without a bound", [null, false], /--max-per-day 2.50/],
    ["a bound of nothing", [["read"], true], /for tokens that may spend/],
  ])("is not %s", (_, asked, why) => expect(() => tokenScopes(...asked)).toThrow(why));
});

describe("a key that is called", () => {
  const key = (id: string, label: string, revokedAt: number | null = null): KeyView => ({
    ...{
      key: id.padEnd(64, "0"),
      role: "ci",
      label,
      scopes: ["read"],
      account: null,
      leaseLabel: null,
      maxSpendPerDayNanos: null,
      expiresAt: null,
      revokedAt,
    },
  });
  const keys = [key("aa1", "ci"), key("aa2", "nightly"), key("bb1", "old", 1), key("cc1", "ci")];

  it("finds a key by its first letters or its label, never one that is revoked", () => {
    expect(keyCalled(keys, "aa2")).toBe(keys[1]);
    expect(keyCalled(keys, "nightly")).toBe(keys[1]);
    expect(() => keyCalled(keys, "")).toThrow(/no key that stands/);
    expect(() => keyCalled(keys, "bb")).toThrow(/no key that stands/);
    expect(() => keyCalled(keys, "ci")).toThrow(/more than one key/);
    expect(() => keyCalled(keys, "aa")).toThrow(/more than one key/);
  });
});
