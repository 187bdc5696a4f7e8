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

const digitsOf = (text: string): string => createHash("sha256").update(text).digest("hex");
const markDigits = (mark: string): string => digitsOf(`xenoserver ${mark}`).slice(0, 12);

/** A UUID of version 8 (RFC 9562): the mark, then the name. `mark`: another one in every server's folder. */
export function domainUuid(mark: string, name: string): string {
  const [server, hash] = [markDigits(mark), digitsOf(JSON.stringify([mark, name]))];
  const variant = ((Number.parseInt(hash.charAt(3), 16) & 3) | 8).toString(16);
  return [server.slice(0, 8), server.slice(8), `8${hash.slice(0, 3)}`, `${variant}${hash.slice(4, 7)}`, hash.slice(7, 19)].join("-");
}

/** Of this server, whatever it is listed as: one that was half made has no name yet. */
export const hasMark = (mark: string, uuid: string): boolean => uuid.replace("-", "").startsWith(`${markDigits(mark)}-8`);
