/**
 * By what of its address a peer is counted, where each may have so much: an IPv4 address, of IPv6 its /64, which one household or machine
 * has whole. Who controls the inputs: whoever connects.
 */
import { isIP } from "node:net";

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An address as it is compared: IPv4 written as such, without a zone. */
export function plainAddress(address: string): string {
  const [bare = ""] = address.trim().split("%");
  return MAPPED.exec(bare)?.[1] ?? bare;
}

/** The eight groups of an IPv6 address. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  return [...first, ...Array.from({ length: Math.max(0, 8 - first.length - last.length) }, () => "0"), ...last];
}

/** What of a plain address its bounds are kept under. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const prefix = groupsOf(address).slice(0, 4);
  return `${prefix.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}
