/** Rows are made once, when they are asked for, and stand in the table as if they had always been there. */
import { expect, it } from "vitest";
import { madeWhenAsked } from "./made-when-asked.ts";

it("makes a row once, and only when it is asked for", () => {
  const made: string[] = [];
  const row = (name: string) => () => {
    made.push(name);
    return { name };
  };
  const table = madeWhenAsked({ one: row("one"), two: row("two"), three: row("three") });
  expect(Object.keys(table)).toEqual(["one", "two", "three"]);
  expect(made).toEqual([]);
  expect(table.two).toBe(table.two);
  expect(made).toEqual(["two"]);
  expect(Object.entries(table)).toEqual(["one", "two", "three"].map((name) => [name, { name }]));
  expect(made).toEqual(["two", "one", "three"]);
});
