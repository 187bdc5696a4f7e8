import { expect, it } from "vitest";
import { accountCalled, spendableIn, type AccountView } from "./account.ts";

const account = (id: string, name: string, parent: string | null = null): AccountView => ({
  id,
  name,
  parent,
  limitNanos: null,
  spentNanos: "0",
});
const [main, ci, cd] = [
  account(`a_${"1".repeat(40)}`, "main"),
  account(`a_ab${"2".repeat(38)}`, "ci"),
  account(`a_ab${"3".repeat(38)}`, "cd"),
];
const all = [main, ci, cd];

it("finds an account by name, by id, and by the first letters of its id", () => {
  expect(accountCalled(all, "ci")).toBe(ci);
  expect(accountCalled(all, cd.id)).toBe(cd);
  expect(accountCalled(all, "1111")).toBe(main);
  expect(accountCalled(all, "a_ab22")).toBe(ci);
});

it("says which there are where none is called so, and which are meant where more than one is", () => {
  expect(() => accountCalled(all, "qa")).toThrow("no account is called 'qa'; there are: main, ci, cd");
  expect(() => accountCalled([...all, account(`a_${"4".repeat(40)}`, "ci")], "ci")).toThrow(/'ci' is more than one account/);
});

it("may spend what is there, within its own limit and those above it", () => {
  const limited = (of: AccountView, limitNanos: string | null, parent: string | null): AccountView => ({
    ...of,
    limitNanos,
    parent,
    spentNanos: "10",
  });
  const reply = (available: string) => ({
    balances: { available, held: "0", pending: "0", staked: "0", locked: "0" },
    accounts: [limited(main, null, null), limited(ci, "60", main.id), limited(cd, "100", ci.id)],
  });
  expect(spendableIn(reply("1000"), cd.id)).toBe(50n);
  expect(spendableIn(reply("40"), cd.id)).toBe(40n);
  expect(spendableIn(reply("1000"), main.id)).toBe(1_000n);
  expect(spendableIn({ ...reply("7"), accounts: [limited(ci, "5", ci.id)] }, ci.id)).toBe(0n);
});
