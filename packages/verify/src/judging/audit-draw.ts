/**
 * The draw of an audit, recomputed: by the secret that its round shows, over the lease and its customer's salt. Who controls the inputs:
 * the broker (the secret, which it fixed before), the customer (the salt), both and the owner (the lease's id).
 */
import { drawPpm, isDrawn, type Lease } from "@xenoservers/market";
import { concatBytes, fromHex, type Crypto } from "@xenoservers/protocol";

const NO_BYTES = new Uint8Array();
const bytesOf = (hash: string): Uint8Array => fromHex(hash) ?? NO_BYTES;

/** The number that decides; `secret`: of the round in which the result was logged. */
export const auditMac = (crypto: Crypto, secret: Uint8Array, { id, auditSalt }: Pick<Lease, "id" | "auditSalt">): Uint8Array =>
  crypto.hmacSha256(secret, concatBytes(bytesOf(id), bytesOf(auditSalt)));

/** Whether a settled lease was drawn, under a secret in hex. */
export function wasDrawn(
  crypto: Crypto,
  secret: string,
  lease: Pick<Lease, "id" | "auditSalt" | "auditPpm" | "stakeNanos">,
  dueNanos: string,
): boolean {
  return isDrawn(auditMac(crypto, bytesOf(secret), lease), drawPpm(lease.auditPpm, BigInt(dueNanos), BigInt(lease.stakeNanos)));
}
