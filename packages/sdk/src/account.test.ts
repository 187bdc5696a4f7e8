import { expect, it } from "vitest";
import { accountCalled, type AccountView } from "./account.ts";

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
