/** The result manifest of a lease: what the server signs of its guest's end, and of a replica the commitment to it. */
import { cameToState, lastClaimOf } from "@xenoservers/market";
import { endRootOf, signDocument, toHex, type SignedDocument } from "@xenoservers/protocol";
import { digestOf } from "../drivers/checks.ts";
import { DETAIL_MAX, type GuestEnd } from "./guest-end.ts";
import type { LeaseContext } from "./lease-context.ts";

export function signResult(
  { world, record, facts, order, driver }: Pick<LeaseContext, "world" | "record" | "facts" | "order" | "driver">,
  end: GuestEnd,
  digests: { stdoutDigest: string; stderrDigest: string },
): SignedDocument<"result"> {
  const { crypto, signer, server } = world;
  const { reason, exitCode, memoryHash, fuel, fuelInAll, usedMs, detail, tree } = end;
  const came = { reason, exitCode, memoryHash, outputDigest: digestOf(crypto, tree), ...digests };
  const last = lastClaimOf(facts.lease);
  // a segment in which the job came to its end is compared by that
  const isSegment = record.work !== null && driver.isSegment(record.work);
  const endRoot = isSegment && cameToState(reason) ? endRootOf(crypto, { ...came, fuel: fuelInAll }) : null;
  return signDocument(crypto, signer, "result", {
    ...{ origin: order.origin, seen: world.seen(), lease: record.lease, server },
    ...{ jobHash: order.jobHash, engine: record.guest?.engine ?? facts.lease.engine, incarnation: record.incarnation },
    ...came,
    usedMs: Math.max(usedMs, last.usedMs),
    egressBytes: Math.max(end.egressBytes, last.egressBytes),
    lastClaim: last.id,
    fuel: fuel.toString(),
    fuelMax: facts.lease.fuelMax,
    stateRoot: end.stateRoot ?? endRoot,
    nonce: toHex(crypto.randomBytes(32)),
    detail: detail
      .replaceAll(/\p{Cc}/gu, " ")
      .slice(0, DETAIL_MAX)
      .toWellFormed(),
  });
}

export function signCommitment({ world, record }: Pick<LeaseContext, "world" | "record">, result: SignedDocument<"result">) {
  const { crypto, signer, server } = world;
  const { origin } = result.payload;
  const { lease, incarnation } = record;
  return signDocument(crypto, signer, "commitment", { origin, seen: world.seen(), lease, server, incarnation, result: result.id });
}
