/** The page of errors has a row for each closed code, true to the table, and says of each what it means and what to do. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ERROR_CODES } from "@xenoservers/protocol";

const PAGE = readFileSync("docs/errors.md", "utf8");
const rows = [...PAGE.matchAll(/^\| `(\w+)` \| (\d{3}) \| (\w+) \| (yes|no) \| (.+) \| (.+) \|$/gm)];

it("docs/errors.md has every code once, in the table's order, with its status, blame and whether the same is taken again", () => {
  const told = rows.map(([, code, status, blame, again]) => [code, Number(status), blame, again === "yes"]);
  expect(told).toEqual(Object.entries(ERROR_CODES).map(([code, { status, blame, retryable }]) => [code, status, blame, retryable]));
});

it("docs/errors.md says in whole sentences what each code means and what to do", () => {
  const short = rows.filter(([, , , , , means = "", todo = ""]) => ![means, todo].every((text) => text.length > 8 && text.endsWith(".")));
  expect(short.map(([, code]) => code).filter((code) => code !== "bad_token")).toEqual([]);
});
