/**
 * A table's cells cut so that its rows fit a terminal: columns with nothing in them go, then the widest give way, and none becomes
 * unreadable. The first, which names what the row is of, stays whole: it is there to be copied.
 */

/** A blank on each side of a cell, and two between columns. */
const SIDES = 2;
const BETWEEN = 2;
/** Of a column that gives way. */
const WIDTH_MIN = 6;

type Rows = readonly (readonly string[])[];

/** What terminals draw in two places: scripts of East Asia, and pictures. */
const WIDE = /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\p{Emoji_Presentation}]/u;
const PLAIN = /^[ -~]*$/;
const placesOf = (letter: string): number => (WIDE.test(letter) ? 2 : 1);

/** How many places of a terminal it takes, at most. */
export const placesIn = (text: string): number =>
  PLAIN.test(text) ? text.length : [...text].reduce((sum, letter) => sum + placesOf(letter), 0);

/** As much of its beginning as so many places hold. */
export function beginningOf(text: string, places: number): string {
  if (placesIn(text) <= places) return text;
  let [left, at] = [places, 0];
  for (const letter of text) {
    left -= placesOf(letter);
    if (left < 0) break;
    at += letter.length;
  }
  return text.slice(0, at);
}

export const cutTo = (text: string, width: number): string => (placesIn(text) <= width ? text : `${beginningOf(text, width - 1)}…`);

const widthsOf = (rows: Rows): number[] => (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => placesIn(row[column] ?? ""))));
const inAll = (widths: readonly number[], sides: number): number => widths.reduce((sum, each) => sum + each + sides + BETWEEN, -BETWEEN);

/** `width`: of the terminal. `tight`: without a blank at each cell's sides. Null: not even the least widths fit. */
export function fitted(rows: Rows, width: number): { rows: string[][]; tight: boolean } | null {
  if (inAll(widthsOf(rows), SIDES) <= width) return { rows: rows.map((row) => [...row]), tight: false };
  const kept = rows[0]!.map((_, column) => column === 0 || rows.length === 1 || rows.slice(1).some((row) => row[column] !== ""));
  const shown = rows.map((row) => row.filter((_, column) => kept[column]));
  const widths = widthsOf(shown);
  for (let over = inAll(widths, 0) - width; over > 0; over--) {
    const widest = Math.max(...widths.slice(1));
    if (widest <= WIDTH_MIN) return null;
    widths[widths.lastIndexOf(widest)]!--;
  }
  return { rows: shown.map((row) => row.map((cell, column) => cutTo(cell, widths[column] ?? placesIn(cell)))), tight: true };
}

/** Where a table has no room: each row as lines of its own, with what is in it behind its title. */
export function asRecords([titles = [], ...rows]: Rows): string[] {
  const wide = Math.max(0, ...titles.map(placesIn));
  return rows.flatMap((row, i) => [
    ...(i > 0 ? [""] : []),
    ...row.flatMap((cell, column) => (cell === "" ? [] : [`${(titles[column] ?? "").padEnd(wide)}  ${cell}`])),
  ]);
}
