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

/** Of a host of a pool: nothing but where it is, for an address is logged. */
export function isPoolUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, pathname, search, hash } = new URL(text);
  return protocol === "https:" && username === "" && password === "" && pathname === "/" && search === "" && hash === "";
}
