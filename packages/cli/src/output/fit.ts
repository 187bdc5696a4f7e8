/** A table's cells cut so that its rows fit a terminal: the widest columns give way first, and none becomes unreadable. */

/** A blank on each side of a cell, and two between columns. */
const SIDES = 2;
const BETWEEN = 2;
/** Of a column that gives way. */
const WIDTH_MIN = 8;

export const cutTo = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);

/** `width`: of the terminal. Where even the least widths are more, rows are broken by the terminal as before. */
export function fitted(rows: readonly (readonly string[])[], width: number): string[][] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  let over = widths.reduce((sum, each) => sum + each + SIDES + BETWEEN, -BETWEEN) - width;
  while (over > 0) {
    const widest = Math.max(...widths);
    if (widest <= WIDTH_MIN) break;
    widths[widths.indexOf(widest)] = widest - 1;
    over--;
  }
  return rows.map((row) => row.map((cell, column) => cutTo(cell, widths[column] ?? cell.length)));
}
