/** A line that stands on a terminal while something goes on. Apart from all else that is written: a version is printed without it. */
import { visible } from "@xenoservers/protocol/visible";
import { beginningOf } from "./fit.ts";

/** A line that the next one takes the place of, on a terminal alone; an empty one takes it away. */
export function sayOver(line: string): void {
  const { stderr } = process;
  // some terminals say that they have no columns
  if (stderr.isTTY) stderr.write(`\r\u001B[K${beginningOf(visible(line), (stderr.columns || Infinity) - 1)}`);
}
