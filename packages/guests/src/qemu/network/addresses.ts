/**
 * Addresses no guest may reach and no image may be fetched from: the owner's own networks, and whatever is not the public Internet. Who
 * controls the inputs: the guest (addresses), the name servers' answers, the owner (exceptions).
 */
import { BlockList, isIPv4, isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { OUTSIDE_GLOBAL_UNICAST_6, SPECIAL_4, SPECIAL_6 } from "./special-addresses.ts";

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
 * Whether an address is public: not special, not this machine's own, or among the owner's exceptions. Anything that is no address is not,
 * nor is one with a zone, which is only good on a link.
 */
export function publicAddresses(exceptions: BlockList = new BlockList()): AddressRule {
  // apart: a check of an IPv4 address also looks at IPv6 ranges, where it counts as mapped
  const special = {
    ipv4: listOf(SPECIAL_4.map(({ range }) => range)),
    ipv6: listOf([...SPECIAL_6.map(({ range }) => range), ...OUTSIDE_GLOBAL_UNICAST_6]),
  };
  return (address) => {
    const family = isIPv4(address) ? "ipv4" : isIPv6(address) && !address.includes("%") ? "ipv6" : null;
    if (family === null) return false;
    if (exceptions.check(address, family)) return true;
    return !ownAddresses()[family].check(address, family) && !special[family].check(address, family);
  };
}

/** However they are written. */
function ownAddresses(): Record<"ipv4" | "ipv6", BlockList> {
  const own = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const { address, family } of Object.values(networkInterfaces()).flatMap((all) => all ?? [])) {
    const name = family === "IPv4" ? "ipv4" : "ipv6";
    own[name].addAddress(address.split("%")[0] ?? "", name);
  }
  return own;
}
