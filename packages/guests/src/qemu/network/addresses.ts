/**
 * Addresses no guest may reach and no image may be fetched from: the owner's own networks, and whatever is not the public Internet (IANA
 * special registries).
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";

const SPECIAL_4 = [
  "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
  "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
] as const; // prettier-ignore
const SPECIAL_6 = [
  "::/128",
  "::1/128",
  "::ffff:0:0/96",
  "64:ff9b::/96",
  "64:ff9b:1::/48",
  "100::/64",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "fc00::/7",
  "fe80::/10",
  "ff00::/8",
] as const;

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits] = range.split("/");
    list.addSubnet(address, Number(bits), isIPv6(address) ? "ipv6" : "ipv4");
  }
  return list;
}

/** The owner's exceptions, such as a mirror on the local network; throws where one is no range. */
export function parseRanges(ranges: readonly string[]): BlockList {
  for (const range of ranges)
    if (!/^[0-9a-f.:]+\/\d{1,3}$/i.test(range)) throw new Error(`'${range}' is not a range of addresses such as 10.1.0.0/16`);
  return listOf(ranges);
}

export type AddressRule = (address: string) => boolean;

/**
 * Whether an address is public: not special, not this machine's own, or among the owner's exceptions. Anything that is no address is not.
 */
export function publicAddresses(exceptions: BlockList = new BlockList()): AddressRule {
  // apart: a check of an IPv4 address also looks at IPv6 ranges, where it counts as mapped
  const special = { ipv4: listOf(SPECIAL_4), ipv6: listOf(SPECIAL_6) };
  return (address) => {
    const family = isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : null;
    if (family === null) return false;
    if (exceptions.check(address, family)) return true;
    const own = Object.values(networkInterfaces()).some((all) => all?.some((each) => each.address === address));
    return !own && !special[family].check(address, family);
  };
}
