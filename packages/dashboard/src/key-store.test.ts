/** What the browser keeps: a key and the market's pins, read strictly, and nothing that is of another market. */
import { beforeEach, describe, expect, it } from "vitest";
import { InputError, formatCiToken } from "@xenoservers/sdk";
import { forget, keep, parseKept, placeHere, readKept, tokenFor } from "./key-store.ts";

const KEY = "ab".repeat(32);
const pins = { origin: "market.local/0123456789ab", operatorKey: KEY, keys: { purchaseOrders: KEY, checkpoints: KEY, receipts: KEY } };
const key = {
  party: `p_${"a".repeat(40)}`,
  role: "ci" as const,
  label: "page",
  scopes: ["read" as const],
  account: null,
  leaseLabel: null,
  expiresAt: null,
};
const token = formatCiToken({ url: "http://127.0.0.1:1", pins, seed: KEY, key });

let kept: Map<string, string>;
const place = {
  getItem: (name: string) => kept.get(name) ?? null,
  setItem: (name: string, text: string) => void kept.set(name, text),
  removeItem: (name: string) => void kept.delete(name),
};
beforeEach(() => {
  kept = new Map();
});

it("is read back as it was kept, and forgotten", () => {
  for (const each of [
    { kind: "own" as const, seed: KEY, pins },
    { kind: "token" as const, token },
  ]) {
    keep(place, each);
    keep(place, each);
    expect(readKept(place)).toEqual(each);
    forget(place, each);
    expect(readKept(place)).toBeNull();
  }
});

it("is not lost to another tab that gives or forgets another key", () => {
  const own = { kind: "own" as const, seed: KEY, pins };
  keep(place, own);
  for (const other of [
    { kind: "token" as const, token },
    { ...own, seed: "cd".repeat(32) },
  ]) {
    expect(() => keep(place, other)).toThrow(/another tab has given this page a key/);
    forget(place, other);
    expect(readKept(place)).toEqual(own);
  }
});

it("is none where a browser throws as soon as its storage is looked for", () => {
  // there is none here at all
  expect(readKept(placeHere())).toBeNull();
  expect(() => keep(placeHere(), { kind: "own", seed: KEY, pins })).toThrow(/keeps nothing for this page/);
});

it.each([
  null,
  "",
  "null",
  "[]",
  "{}",
  '{"kind":"own","seed":"ab"}',
  `{"kind":"own","seed":"${KEY}","pins":{}}`,
  '{"kind":"token","token":"x"}',
  '{"kind":"root"}',
])("is nothing where it is %s", (text) => {
  expect(parseKept(text)).toBeNull();
});

it("says that nothing is kept where the browser keeps nothing", () => {
  const full = {
    ...place,
    setItem: () => {
      throw new Error("QuotaExceededError");
    },
  };
  expect(() => keep(full, { kind: "own", seed: KEY, pins })).toThrow(/keeps nothing for this page/);
});

describe("a token", () => {
  it("is taken for the market whose page it is pasted into, and no other", () => {
    expect(tokenFor(` ${token}\n`, pins)).toBe(token);
    expect(() => tokenFor(token, { ...pins, operatorKey: "cd".repeat(32) })).toThrow(/of another market/);
    expect(() => tokenFor(token, { ...pins, origin: "other.local/0123456789ab" })).toThrow(InputError);
  });

  it.each([KEY, "xeno-enrol-abc", "", "{}"])("is not '%s'", (typed) => {
    expect(() => tokenFor(typed, pins)).toThrow(InputError);
  });
});
