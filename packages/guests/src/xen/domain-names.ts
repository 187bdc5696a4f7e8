/**
 * How a server knows its own domains among all of a host's: by a name of the lease's id, and by a UUID that only this server's folder
 * gives that name. Both are set as the domain is made, so that not even half a domain is without its mark. Pure. Who controls the inputs:
 * the broker (the lease's id), the owner (the server's mark).
 */
import { createHash } from "node:crypto";

const PREFIX = "xeno-";
const ID_DIGITS = 24;

/** `lease`: hex. */
export function domainName(lease: string): string {
  if (!/^[0-9a-f]{8,}$/.test(lease)) throw new Error("a lease's id is hex");
  return `${PREFIX}${lease.slice(0, ID_DIGITS)}`;
}

/** Of any server of ours, this one or another. */
export const isOurs = (name: string): boolean => name.startsWith(PREFIX);

/** A UUID of version 8 (RFC 9562): the hash of both. `mark`: another one in every server's folder. */
export function domainUuid(mark: string, name: string): string {
  const hash = createHash("sha256")
    .update(JSON.stringify(["xenoserver", mark, name]))
    .digest("hex");
  const variant = ((Number.parseInt(hash.charAt(16), 16) & 3) | 8).toString(16);
  return [hash.slice(0, 8), hash.slice(8, 12), `8${hash.slice(13, 16)}`, `${variant}${hash.slice(17, 20)}`, hash.slice(20, 32)].join("-");
}
