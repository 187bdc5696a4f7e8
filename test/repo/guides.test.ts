/** Whatever a page tells its reader to type has its place: it is run by test/pack/guides.test.ts in the page's order, or stands there with a reason. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { toldOn } from "../pack/guides/commands.ts";
import { CUSTOMERS, LEFT, OPERATORS } from "../pack/guides/pages.ts";

const PAGES = { ...CUSTOMERS, ...OPERATORS, ...LEFT };
const written = [
  ...readdirSync("docs")
    .filter((name) => name.endsWith(".md"))
    .map((name) => path.join("docs", name)),
  "README.md",
  "CONTRIBUTING.md",
];

describe("each line that a page has its reader type", () => {
  it.each(written)("of %s has its place", (page) => {
    expect(PAGES[page]?.places.map(([name]) => name) ?? []).toEqual(toldOn(page).map(({ name }) => name));
  });

  it("is of a page that is there", () => {
    expect(Object.keys(PAGES).filter((page) => !written.includes(page))).toEqual([]);
  });
});
