/** `xeno map --array 0-99:2,200`: numbers in place of files. Who controls the words: whoever types. */
import { UserError } from "../output/ui.ts";

const NUMBERS_MAX = 10_000;

function rangeOf(part: string, option: string): [first: number, last: number, step: number] {
  const [, first = "", last, step = "1"] = /^(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?$/.exec(part.trim()) ?? [];
  if (/%\d+$/.test(part)) throw new UserError(`${option} takes no %: -P COUNT runs so many at once`);
  const range = [Number(first), Number(last ?? first), Number(step)] as const;
  if (first === "" || range[1] < range[0] || range[2] === 0)
    throw new UserError(`${option} '${part.slice(0, 64)}' is no range of numbers: write 0-99, 0-99:5, or 3,7,20-29`);
  return [...range];
}

/** In the order in which they were typed, each once. */
export function parseArray(text: string, option: string): number[] {
  const numbers = new Set<number>();
  for (const part of text.split(",")) {
    const [first, last, step] = rangeOf(part, option);
    if ((last - first) / step >= NUMBERS_MAX) throw new UserError(`${option} '${part}' is more than ${NUMBERS_MAX} numbers`);
    for (let each = first; each <= last; each += step) numbers.add(each);
    if (numbers.size > NUMBERS_MAX) throw new UserError(`${option} is more than ${NUMBERS_MAX} numbers`);
  }
  return [...numbers];
}
