/** What people and programs write in one line: numbers, units, names and signs exchanged for those that readers get wrong. */
import type { Random } from "../../../packages/testkit/src/random.ts";
import { bytesOf, textOf } from "../target.ts";

const SIGNS = [
  ...[
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "-",
    "+",
    ".",
    ",",
    "..",
    "/",
    "\\",
    "=",
    ":",
    ";",
    "@",
    "%",
    "%2e",
    "%00",
    "#",
    "?",
    "&",
    "'",
    '"',
  ],
  ...["0", "1", "9", "00", "٣", "１", "²", "Ⅷ", "e", "E9", "e-9", "0x", "Infinity", "NaN", "null", "ſ", "İ", "K", "K", "ﬀ", "é", "e\u0301"],
  ...["\uFEFF", "\u200B", "\u202E", "\u0085", "\u2028", "\uD800", "😀", "\x1b[2J", "--", "-1", "9".repeat(20), "a".repeat(300)],
] as const;

export function bentText(text: string, random: Random): string {
  const at = random.between(0, text.length);
  const end = Math.min(text.length, at + random.between(0, 4));
  const sign = random.pick(SIGNS);
  switch (random.between(0, 7)) {
    case 0:
      return text.slice(0, at) + sign + text.slice(at);
    case 1:
      return text.slice(0, at) + sign + text.slice(end);
    case 2:
      return text.slice(0, at) + text.slice(end);
    case 3:
      return text.slice(0, at) + text.slice(at, end) + text.slice(at);
    case 4:
      return text.slice(0, at);
    case 5:
      return random.chance(0.5) ? text.toUpperCase() : text.toLowerCase();
    case 6:
      return (
        text.slice(0, at) + text.slice(at).replace(/\d+/, () => random.pick(["0", "99", "4294967296", "9007199254740993", "-1", "08"]))
      );
    default:
      return text.slice(0, at) + (text[at] ?? "x").repeat(random.pick([2, 10, 200, 3_000])) + text.slice(at);
  }
}

export function bentLine(input: Uint8Array, random: Random, others: readonly Uint8Array[]): Uint8Array {
  let text = textOf(input);
  for (let left = random.between(1, 3); left > 0; left--)
    text = random.chance(0.1) ? text + textOf(random.pick(others)) : bentText(text, random);
  return bytesOf(text);
}
