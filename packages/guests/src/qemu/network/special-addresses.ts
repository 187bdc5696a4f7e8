/**
 * Ranges that are not the public Internet: IANA's special-purpose registries of IPv4 and IPv6 addresses (RFC 6890 and what followed it),
 * as they stood in 2025, those that are reachable from everywhere among them, for they are services and no hosts; groups; and forms that
 * carry an address of the other version, which may be a private one. Who controls the inputs: nobody.
 */
interface Special {
  range: string;
  /** Where it is set aside, and for what. */
  by: string;
}

export const SPECIAL_4: readonly Special[] = [
  { range: "0.0.0.0/8", by: "RFC 791: this network" },
  { range: "10.0.0.0/8", by: "RFC 1918: private use" },
  { range: "100.64.0.0/10", by: "RFC 6598: shared by a carrier's customers" },
  { range: "127.0.0.0/8", by: "RFC 1122: loopback" },
  { range: "169.254.0.0/16", by: "RFC 3927: link-local" },
  { range: "172.16.0.0/12", by: "RFC 1918: private use" },
  { range: "192.0.0.0/24", by: "RFC 6890: IETF protocol assignments" },
  { range: "192.0.2.0/24", by: "RFC 5737: documentation" },
  { range: "192.31.196.0/24", by: "RFC 7535: AS112" },
  { range: "192.52.193.0/24", by: "RFC 7450: AMT" },
  { range: "192.88.99.0/24", by: "RFC 7526: relays of 6to4" },
  { range: "192.168.0.0/16", by: "RFC 1918: private use" },
  { range: "192.175.48.0/24", by: "RFC 7534: AS112" },
  { range: "198.18.0.0/15", by: "RFC 2544: benchmarks" },
  { range: "198.51.100.0/24", by: "RFC 5737: documentation" },
  { range: "203.0.113.0/24", by: "RFC 5737: documentation" },
  { range: "224.0.0.0/4", by: "RFC 5771: groups" },
  { range: "240.0.0.0/4", by: "RFC 1112: reserved, and the limited broadcast" },
];

export const SPECIAL_6: readonly Special[] = [
  { range: "::/96", by: "RFC 4291: none, loopback, and addresses that carry one of version 4" },
  { range: "::ffff:0:0/96", by: "RFC 4291: mapped from version 4" },
  { range: "::ffff:0:0:0/96", by: "RFC 2765: translated from version 4" },
  { range: "64:ff9b::/96", by: "RFC 6052: translated to version 4" },
  { range: "64:ff9b:1::/48", by: "RFC 8215: translated to version 4" },
  { range: "100::/64", by: "RFC 6666: discarded" },
  { range: "100:0:0:1::/64", by: "RFC 9780: dummy" },
  { range: "2001::/23", by: "RFC 2928: IETF protocol assignments, Teredo and ORCHID among them" },
  { range: "2001:db8::/32", by: "RFC 3849: documentation" },
  { range: "2002::/16", by: "RFC 3056: 6to4, which carries an address of version 4" },
  { range: "2620:4f:8000::/48", by: "RFC 7534: AS112" },
  { range: "3fff::/20", by: "RFC 9637: documentation" },
  { range: "5f00::/16", by: "RFC 9602: segment routing" },
  { range: "fc00::/7", by: "RFC 4193: unique local" },
  { range: "fe80::/10", by: "RFC 4291: link-local" },
  { range: "fec0::/10", by: "RFC 3879: site-local" },
  { range: "ff00::/8", by: "RFC 4291: groups" },
];

/** Only 2000::/3 is given to hosts (RFC 4291; IANA's registry of IPv6 address space). */
export const OUTSIDE_GLOBAL_UNICAST_6 = ["::/3", "4000::/2", "8000::/1"] as const;
