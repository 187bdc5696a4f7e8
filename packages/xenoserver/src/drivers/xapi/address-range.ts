/** Addresses that an owner gives to leases, as the settings have them: FIRST-LAST/BITS. Pure. Who controls the inputs: the owner. */
import { isIPv4 } from "node:net";

const ADDRESSES_MAX = 4_096;
const FORM = /^([\d.]+)-([\d.]+)\/(\d{1,2})$/;

const numberOf = (address: string): number => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const textOf = (address: number): string => [24, 16, 8, 0].map((bits) => Math.floor(address / 2 ** bits) % 256).join(".");

export interface AddressRange {
  first: number;
  last: number;
  bits: number;
}

/** Null where it is none, or not of one network. */
export function addressRange(text: string): AddressRange | null {
  const [, from = "", to = "", prefix = ""] = FORM.exec(text) ?? [];
  if (!isIPv4(from) || !isIPv4(to)) return null;
  const range = { first: numberOf(from), last: numberOf(to), bits: Number(prefix) };
  const isOne = range.bits >= 8 && range.bits <= 30 && isWithin(range, to);
  return isOne && range.first <= range.last && range.last - range.first < ADDRESSES_MAX ? range : null;
}

/** Whether an address is of the range's network. */
export function isWithin({ first, bits }: AddressRange, address: string): boolean {
  const size = 2 ** (32 - bits);
  return isIPv4(address) && Math.floor(numberOf(address) / size) === Math.floor(first / size);
}

/** The first that is not taken; null where none is left. */
export function freeAddress({ first, last }: AddressRange, taken: ReadonlySet<string>): string | null {
  for (let at = first; at <= last; at++) if (!taken.has(textOf(at))) return textOf(at);
  return null;
}

/** Whether leases could be given it. */
export const isGiven = ({ first, last }: AddressRange, address: string): boolean => {
  const at = numberOf(address);
  return at >= first && at <= last;
};
