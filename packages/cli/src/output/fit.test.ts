import { afterEach, describe, expect, it } from "vitest";
import { Typed } from "../typed.fixture.ts";
import { fitted } from "./fit.ts";
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

  it("that fits is left as it is", () => expect(fitted(rows, 200)).toEqual(rows));

  it("that does not has its widest column cut, and shows that it was", () => {
    expect(fitted(rows, 40)[1]).toEqual(["abcdef012345", "a label of so many le…"]);
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

  it("never has a column cut to nothing", () => {
    for (const cell of fitted(rows, 1)[1]!) expect(cell.length).toBe(8);
  });

  it("of no rows is none", () => expect(fitted([], 10)).toEqual([]));
});

it.each([
  [0, "now"],
  [59_999, "now"],
  [60_000, "1 min ago"],
  [3_600_000, "1 h ago"],
  [86_400_000 * 3, "3 d ago"],
  [-60_000, "now"],
])("a time %d ms ago is '%s'", (ms, says) => expect(ago(1_000_000_000_000 - ms, 1_000_000_000_000)).toBe(says));
