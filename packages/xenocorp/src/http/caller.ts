/**
 * Who calls, for bounds by source address: the peer of the connection or, behind proxies that the operator names, whom the last of these
 * names. Who controls the inputs: anyone (what a header says counts from
 * a named proxy only).
 */
import type { IncomingMessage } from "node:http";
import { BlockList, isIP, isIPv4 } from "node:net";
import { networkOf, plainAddress } from "@xenoservers/protocol/source-address";

const HOPS_MAX = 32;

export interface Callers {
  /** Under whom a request's bounds are kept. */
  of(request: Pick<IncomingMessage, "socket" | "headers">): string;
  /** Whether a connection is a named proxy's, and carries many callers. */
  isProxy(address: string | undefined): boolean;
}

/** `proxies`: addresses or subnets (`10.0.0.0/8`) whose X-Forwarded-For is believed. Throws where one is neither. */
export function callers(proxies: readonly string[]): Callers {
  const trusted = new BlockList();
  for (const proxy of proxies) {
    const [address = "", bits, more] = proxy.split("/");
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    const bitsMax = family === "ipv4" ? 32 : 128;
    if (isIP(address) === 0 || more !== undefined || (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax)))
      throw new Error(`${JSON.stringify(proxy)} is no address and no subnet of a proxy: write 10.0.0.7, 10.0.0.0/8 or fd00::/8`);
    trusted.addSubnet(address, bits === undefined ? bitsMax : Number(bits), family);
  }
  const isProxy = (address = ""): boolean => {
    const peer = plainAddress(address);
    return isIP(peer) !== 0 && trusted.check(peer, isIPv4(peer) ? "ipv4" : "ipv6");
  };
  return {
    isProxy,
    of({ socket, headers }) {
      let caller = plainAddress(socket.remoteAddress ?? "");
      const hops = [headers["x-forwarded-for"] ?? []].flat().join(",").split(",").slice(-HOPS_MAX);
      // each proxy adds whom it heard at the end; what stands before the last that is not one is anybody's word
      for (let hop = hops.pop(); hop !== undefined && isProxy(caller); hop = hops.pop()) {
        const named = plainAddress(hop);
        if (isIP(named) === 0) break;
        caller = named;
      }
      return networkOf(caller);
    },
  };
}
