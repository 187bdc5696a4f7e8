/** What single values of xenoserver.toml mean. Who controls the inputs: the owner of the machine. */
import { BlockList, isIPv6 } from "node:net";
import { parseRanges } from "@xenoservers/guests";

interface Range {
  text: string;
  address: string;
  bits: number;
  list: BlockList;
}

function rangeIn(text: string): Range | null {
  try {
    const [address = "", bits] = text.split("/");
    return { text, address, bits: Number(bits), list: parseRanges([text]) };
  } catch {
    return null;
  }
}

const holds = (outer: Range, inner: Range): boolean =>
  outer.bits <= inner.bits && outer.list.check(inner.address, isIPv6(inner.address) ? "ipv6" : "ipv4");

/** The first that is no range of addresses, or lies within another; null: all of them say something. */
export function rangesProblem(texts: readonly string[]): string | null {
  const ranges: Range[] = [];
  for (const text of texts) {
    const range = rangeIn(text);
    if (range === null) return `${JSON.stringify(text)} is no range of addresses: write one such as "10.1.2.3/32" or "10.1.0.0/16"`;
    const other = ranges.find((each) => holds(each, range) || holds(range, each));
    if (other) return `${text} and ${other.text} overlap: leave out the one that lies within the other`;
    ranges.push(range);
  }
  return null;
}

/** How many letters have to be changed, added or left out. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...one].entries()) {
    const next = [i + 1];
    for (let j = 0; j < other.length; j++)
      next.push(Math.min((next[j] ?? 0) + 1, (row[j + 1] ?? 0) + 1, (row[j] ?? 0) + Number(letter !== other[j])));
    row = next;
  }
  return row[other.length] ?? 0;
}

const lastOf = (key: string): string => key.slice(key.lastIndexOf(".") + 1);
/** Longer names are no keys, and not worth comparing. */
const NAME_MAX = 64;

/** The key that was meant: the same name in another section, or one that differs in a few letters; null: none is near. */
export function nearestKey(key: string, known: readonly string[]): string | null {
  const name = lastOf(key);
  if (name.length > NAME_MAX) return null;
  const elsewhere = known.find((each) => lastOf(each) === name);
  if (elsewhere) return elsewhere;
  const byDistance = known.map((each) => ({ each, far: distance(name, lastOf(each)) })).toSorted((a, b) => a.far - b.far);
  const [nearest] = byDistance;
  return nearest && nearest.far <= Math.max(2, Math.floor(name.length / 3)) ? nearest.each : null;
}
