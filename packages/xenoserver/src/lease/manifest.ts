/** The result manifest of a lease: what the server signs of its guest's end, and of a replica the commitment to it. */
import { endRootOf, signDocument, toHex, type Payload, type SignedDocument } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { isComparable } from "@xenoservers/verify";
import { engineOf } from "./guest-start.ts";
import { digestOf } from "./job-intake.ts";
import type { LeaseRecord } from "./journal.ts";
import type { RunnerWorld } from "./runner-world.ts";

export interface GuestSummary {
  exitCode: number | null;
  detail: string;
  fuel: bigint;
  fuelInAll: bigint;
  memoryHash: string | null;
  stateRoot: string | null;
  tree: InputTree["entries"];
  usedMs: number;
  egressBytes: number;
}
export const NOTHING_RAN: GuestSummary = {
  exitCode: null,
  detail: "",
  fuel: 0n,
  fuelInAll: 0n,
  memoryHash: null,
  stateRoot: null,
  tree: [],
  usedMs: 0,
  egressBytes: 0,
};

export const DETAIL_MAX = 400;

export function signResult(
  world: RunnerWorld,
  record: LeaseRecord,
  { origin, jobHash }: Pick<Payload<"order">, "origin" | "jobHash">,
  end: GuestSummary & { reason: Payload<"result">["reason"] },
  digests: { stdoutDigest: string; stderrDigest: string },
): SignedDocument<"result"> {
  const { crypto, signer, server } = world;
  const { reason, exitCode, memoryHash, fuel, fuelInAll, usedMs, detail, tree } = end;
  const came = { reason, exitCode, memoryHash, outputDigest: digestOf(crypto, tree), ...digests };
  // a segment in which the job came to its end is compared by that; a state that cannot be begun from says nothing of who signed it
  const endRoot = record.job?.segment && isComparable({ reason }) && reason !== "module-malformed" ? endRootOf(crypto, { ...came, fuel: fuelInAll }) : null;
  return signDocument(crypto, signer, "result", {
    origin,
    seen: null,
    lease: record.lease,
    server,
    jobHash,
    engine: engineOf(world, record),
    ...came,
    usedMs: Math.max(usedMs, record.lastClaim?.usedMs ?? 0),
    egressBytes: Math.max(end.egressBytes, record.lastClaim?.egressBytes ?? 0),
    lastClaim: record.lastClaim?.id ?? record.openingId!,
    fuel: fuel.toString(),
    stateRoot: end.stateRoot ?? endRoot,
    nonce: toHex(crypto.randomBytes(32)),
    detail: detail
      .replaceAll(/\p{Cc}/gu, " ")
      .slice(0, DETAIL_MAX)
      .toWellFormed(),
  });
}

export function signCommitment({ crypto, signer, server }: RunnerWorld, lease: string, result: SignedDocument<"result">): SignedDocument<"commitment"> {
  return signDocument(crypto, signer, "commitment", { origin: result.payload.origin, seen: null, lease, server, result: result.id });
}
