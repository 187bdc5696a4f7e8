/**
 * Where in the page one is, as its address says behind the `#`: it never leaves the browser. Who controls the input: whoever made the
 * link.
 */
import { LEASE_ID } from "@xenoservers/sdk";

export type Place = { at: "market" | "enter" | "leases" | "run" | "wallet" | "servers" } | { at: "lease"; lease: string };
export type PlainPlace = Exclude<Place["at"], "lease">;

const PLAIN: Readonly<Record<PlainPlace, string>> = {
  market: "#/",
  enter: "#/enter",
  leases: "#/leases",
  run: "#/run",
  wallet: "#/wallet",
  servers: "#/servers",
};
const LEASE = "#/lease/";

export const linkTo = (at: PlainPlace): string => PLAIN[at];
export const linkToLease = (lease: string): string => LEASE + lease;

const isPlain = (at: string): at is PlainPlace => Object.hasOwn(PLAIN, at);

/** What is no place leads to the first one. */
export function placeOf(hash: string): Place {
  const lease = hash.startsWith(LEASE) ? hash.slice(LEASE.length) : "";
  if (LEASE_ID.test(lease)) return { at: "lease", lease };
  const at = Object.keys(PLAIN).find((each) => isPlain(each) && PLAIN[each] === hash) ?? "market";
  return { at: isPlain(at) ? at : "market" };
}
