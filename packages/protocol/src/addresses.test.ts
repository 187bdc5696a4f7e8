import { expect, it } from "vitest";
import { Addresses, zAddresses } from "./addresses.ts";

const down = new Set<string>();
const ask = (asked: string[]) => async (address: string) => {
  asked.push(address);
  if (down.has(address)) throw new Error(`${address} is down`);
  return address;
};

it("stays with the one that answers, goes on to the next, and gives up after each was asked", async () => {
  const addresses = new Addresses("http://a:1, http://b:2,http://c:3");
  const asked: string[] = [];
  expect(await addresses.first(ask(asked))).toBe("http://a:1");
  down.add("http://a:1");
  expect(await addresses.first(ask(asked))).toBe("http://b:2");
  expect(await addresses.first(ask(asked))).toBe("http://b:2");
  down.delete("http://a:1");
  expect(await addresses.first(ask(asked))).toBe("http://b:2");
  expect(asked).toEqual(["http://a:1", "http://a:1", "http://b:2", "http://b:2", "http://b:2"]);
  for (const each of ["http://a:1", "http://b:2", "http://c:3"]) down.add(each);
  asked.length = 0;
  await expect(addresses.first(ask(asked))).rejects.toThrow("http://a:1 is down");
  expect(asked).toEqual(["http://b:2", "http://c:3", "http://a:1"]);
});

it("moves on once where several asked the same one at once", async () => {
  down.clear();
  down.add("http://a:1");
  const addresses = new Addresses("http://a:1,http://b:2,http://c:3");
  const asked: string[] = [];
  expect(await Promise.all([1, 2, 3].map(() => addresses.first(ask(asked))))).toEqual(["http://b:2", "http://b:2", "http://b:2"]);
});

it.each(["http://a:1", "https://a.example", "http://a:1,https://b.example:2/", "http://a:1, http://b:2"])("takes %s", (text) => {
  expect(zAddresses.safeParse(text).success).toBe(true);
});
it.each(["", "a:1", "ftp://a", "http://a:1,", "http://a:1,b", Array.from({ length: 17 }, () => "http://a:1").join(",")])(
  "refuses %j",
  (text) => {
    expect(zAddresses.safeParse(text).success).toBe(false);
  },
);
