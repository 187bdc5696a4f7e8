import { afterEach, describe, expect, it } from "vitest";
import { Typed } from "../typed.fixture.ts";
import { beginningOf, cutTo, fitted, placesIn } from "./fit.ts";
import { ago, table } from "./ui.ts";

const typed = new Typed();
const { isTTY, columns } = process.stdout;
afterEach(() => {
  typed.leave();
  Object.assign(process.stdout, { isTTY, columns });
});

describe("a table", () => {
  const rows = [
    ["lease", "label"],
    ["abcdef012345", "a label of so many letters that no terminal has room for it"],
  ];

  it("that fits is left as it is", () => expect(fitted(rows, 200)).toEqual({ rows, tight: false }));

  it("that does not has its widest column cut, and shows that it was", () => {
    expect(fitted(rows, 40)).toEqual({ rows: [rows[0], ["abcdef012345", "a label of so many letter…"]], tight: true });
  });

  it("has what its rows are called by whole, and no column with nothing in it, where it has little room", () => {
    const wide = [
      ["lease", "as", "label", "ended", "cost"],
      ["abcdef012345", "customer", "", "completed (0)", "0.020016 credits"],
      ["fedcba543210", "customer", "", "customer-stop", "0.020016 credits"],
    ];
    expect(fitted(wide, 44)?.rows).toEqual([
      ["lease", "as", "ended", "cost"],
      ["abcdef012345", "customer", "complete…", "0.020016…"],
      ["fedcba543210", "customer", "customer…", "0.020016…"],
    ]);
    expect([fitted(wide, 36) === null, fitted(wide, 35)]).toEqual([false, null]);
    for (let width = 36; width < 100; width++)
      for (const row of fitted(wide, width)?.rows ?? []) expect(row.join("  ").length).toBeLessThanOrEqual(width);
  });

  it("that has no room at all has a line for each cell, whole", () => {
    typed.listen();
    typed.said = { stdout: "", stderr: "" };
    Object.assign(process.stdout, { isTTY: true, columns: 20 });
    table(
      ["lease", "as", "used"],
      [
        ["abcdef012345", "customer", "10 min"],
        ["fedcba543210", "", "7 min"],
      ],
    );
    expect(typed.said.stdout).toBe("lease  abcdef012345\nas     customer\nused   10 min\n\nlease  fedcba543210\nused   7 min\n");
  });

  it("on a terminal that says it has no columns is whole", () => {
    typed.listen();
    typed.said = { stdout: "", stderr: "" };
    Object.assign(process.stdout, { isTTY: true, columns: 0 });
    table(rows[0]!, rows.slice(1));
    expect(typed.said.stdout).toContain(rows[1]![1]);
  });

  it.each([40, 60])("fills no more than %d columns of a terminal, and is whole in a pipe", (columns) => {
    typed.listen();
    typed.said = { stdout: "", stderr: "" };
    Object.assign(process.stdout, { isTTY: true, columns });
    table(rows[0]!, rows.slice(1));
    for (const line of typed.said.stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
    expect(typed.said.stdout).toContain("…");
    Object.assign(process.stdout, { isTTY: false });
    table(rows[0]!, rows.slice(1));
    expect(typed.said.stdout).toContain(rows[1]![1]);
    expect(typed.said.stdout).not.toMatch(/ $/m);
  });

  it("of no rows is none", () => expect(fitted([], 10)).toEqual({ rows: [], tight: false }));
});

it.each([
  [0, "now"],
  [59_999, "now"],
  [60_000, "1 min ago"],
  [3_600_000, "1 h ago"],
  [86_400_000 * 3, "3 d ago"],
  [-60_000, "now"],
])("a time %d ms ago is '%s'", (ms, says) => expect(ago(1_000_000_000_000 - ms, 1_000_000_000_000)).toBe(says));

it("counts what a terminal draws in two places as two", () => {
  expect(["plain", "größe", "数据.img", "🚀.img"].map(placesIn)).toEqual([5, 5, 8, 6]);
  expect([beginningOf("数据.img", 5), beginningOf("数据.img", 3), beginningOf("plain", 9), beginningOf("🚀🚀", 3)]).toEqual([
    "数据.",
    "数",
    "plain",
    "🚀",
  ]);
  expect(cutTo("数据数据", 6)).toBe("数据…");
  expect(
    fitted(
      [
        ["id", "label"],
        ["1", "数据数据数据"],
      ],
      14,
    )?.rows[1]?.[1],
  ).toBe("数据数据…");
});
