/** How a guest's end becomes a result: commitment and reveal of replicas, the result manifest, the delivery of its bytes. */
import { EMPTY_BYTES_DIGEST, EMPTY_TREE_DIGEST } from "../digests.ts";
import { DRIVERS, runsAlike } from "../drivers.ts";
import { inputsByOf } from "./deadlines.ts";
import type { FactOf, ResultContent } from "./facts.ts";
import type { Lease } from "./lease.ts";
import { firstRefused, refused, taken, type LeaseRefusal, type Step } from "./refusal.ts";
import { speaksAs } from "../roles.ts";
import { cameToState, proofOf } from "./proofs.ts";
import { TERMS, type EndReason } from "./terms.ts";
import { lastClaimOf } from "./use.ts";

/** A replica has its result: the id of the result document, whose nonce hides it until it is shown. */
export function commit(lease: Lease, { content }: FactOf<"commitment">): Step {
  if (content.server !== lease.server) return refused("not_yours", "the commitment is another server's");
  if (lease.replicas === 1) return refused("wrong_state", "only replicas commit to a result");
  return taken({ ...lease, state: "committed", openClaim: null, commitment: { result: content.result, revealedAt: null } });
}

/** Every replica of the order has committed, or has ended without: results may be shown. */
export function reveal(lease: Lease, { at, content }: FactOf<"reveal">): Step {
  if (content.order !== lease.orderId || !lease.commitment) return refused("conflict", "the reveal is of another order");
  if (content.at !== at) return refused("conflict", "the reveal's time is not the log's");
  return taken({ ...lease, state: "revealed", commitment: { ...lease.commitment, revealedAt: at } });
}

/** Whether the fold bears the reason out: limits were reached, somebody stopped it, nothing ran where nothing may have run. */
function reasonProblem(lease: Lease, { reason, usedMs, fuel, exitCode, stateRoot }: ResultContent): string | null {
  const row = TERMS[reason];
  if (row.statedBy !== "server") return `a server does not state ${reason}`;
  if (row.takes !== null && !DRIVERS[lease.driver].can[row.takes])
    return `a guest of the driver ${lease.driver} does not end with ${reason}`;
  if (exitCode !== null && !row.exitCode) return `${reason} has no exit code`;
  // whoever runs it again has none to hold against it
  if (exitCode !== null && row.byChance && runsAlike(lease.driver, lease.assurance))
    return `${reason} has no exit code where a job runs alike`;
  if (!row.ran && row.cause !== "host" && (usedMs > 0 || fuel !== "0"))
    return `${reason} means that nothing ran: nothing can have been used`;
  if (reason === "module-malformed" && fuel !== "0") return "a module that cannot be read burns no fuel";
  if (reason === "image-unfetched" && !lease.fetches) return "the order does not ask for an image to be fetched";
  if (reason === "segment-end" && !lease.segment) return "a whole job was ordered, not a segment";
  if (stateRoot === null ? lease.segment && cameToState(reason) : !lease.segment)
    return "a segment that came to an end shows its state, a whole job none";
  if (reason === "input-missing" && lease.stop?.reason === "customer-stop") return "its customer stopped it while it could still have come";
  if (reason === "customer-stop" && lease.stop?.reason !== reason) return "its customer did not stop it";
  return limitProblem(lease, reason, usedMs, BigInt(fuel));
}

function limitProblem(lease: Lease, reason: EndReason, usedMs: number, fuel: bigint): string | null {
  if (!TERMS[reason].usedUp) return null;
  const timeIsUp = reason === lease.timeBound && usedMs >= lease.durationMsMax;
  const fuelIsUp = reason === lease.fuelBound && fuel >= BigInt(lease.fuelMax) && DRIVERS[lease.driver].can.exactLimits;
  // a segment ends where its job does, whose limit is not this lease's
  const segmentsOwnLimit = lease.segment && reason === "fuel-limit";
  if (timeIsUp || fuelIsUp || segmentsOwnLimit) return null;
  return `neither ${lease.durationMsMax} ms (${lease.timeBound}) nor ${lease.fuelMax} fuel (${lease.fuelBound}) were used up`;
}

/** A paid result that can be run again is committed to before any replica's is shown, however it ended. */
export const bindsReplica = (lease: Pick<Lease, "driver" | "assurance" | "terms" | "replicas">, content: ResultContent): boolean =>
  lease.replicas > 1 && TERMS[content.reason].pay[lease.terms] === "used" && proofOf(lease, content) !== null;

/** A replica shows what it committed to, after all have; its host's failure is no result, and must be told before. */
function commitmentProblem(lease: Lease, { id, content }: FactOf<"result">): LeaseRefusal | null {
  if (lease.replicas === 1) return null;
  if (!bindsReplica(lease, content))
    return lease.commitment === null ? null : refused("result_mismatch", "another result was committed to");
  if (lease.state !== "revealed")
    return refused("wrong_state", "results are shown after every replica has committed", { state: lease.state });
  return lease.commitment?.result === id ? null : refused("result_mismatch", "it is not the result that was committed to");
}

/** Whether a result has bytes that its customer would have to get: no output and no files are delivered with the manifest itself. */
export function hasBytes({ outputDigest, stdoutDigest, stderrDigest }: ResultContent): boolean {
  return outputDigest !== EMPTY_TREE_DIGEST || stdoutDigest !== EMPTY_BYTES_DIGEST || stderrDigest !== EMPTY_BYTES_DIGEST;
}

/** On result, what is used is paid once the bytes are delivered; by interval, time is. */
export const paysOnDelivery = (lease: Pick<Lease, "terms">, content: ResultContent): boolean =>
  lease.terms === "on-result" && TERMS[content.reason].pay[lease.terms] === "used" && hasBytes(content);

/** What another server's result is to be compared with, and is paid for, was run by the engine that was bound. */
const isUnderItsEngine = ({ driver, assurance, terms, engine }: Lease, content: ResultContent): boolean =>
  content.engine === engine || !runsAlike(driver, assurance) || TERMS[content.reason].pay[terms] !== "used";

export function result(lease: Lease, fact: FactOf<"result">): Step {
  const { id, at, content } = fact;
  const { reason, exitCode, usedMs, egressBytes, fuel, engine } = content;
  const last = lastClaimOf(lease);
  const wrong =
    firstRefused("not_yours", [[content.server === lease.server, "the result is another server's"]]) ??
    firstRefused("result_mismatch", [
      [content.jobHash === lease.jobHash, "jobHash is not the order's"],
      [isUnderItsEngine(lease, content), `engine is not ${lease.engine}, which the offer names`],
      [content.fuelMax === lease.fuelMax, `it ran under ${content.fuelMax} fuel, ${lease.fuelMax} were ordered`],
      [content.lastClaim === last.id, "lastClaim is not the last receipted claim or the opening"],
    ]) ??
    firstRefused("claim_decreasing", [
      [usedMs >= last.usedMs && egressBytes >= last.egressBytes, "less is stated than was claimed before"],
    ]) ??
    commitmentProblem(lease, fact);
  if (wrong) return wrong;
  const why = reasonProblem(lease, content);
  if (why !== null) return refused("result_mismatch", why);
  const startBy = inputsByOf(lease, at);
  if (reason === "input-missing" && at < startBy)
    return refused("too_early", "its customer still has time to deliver the inputs", { startBy });
  const state = paysOnDelivery(lease, content) ? "delivering" : "ended";
  return taken({ ...lease, state, openClaim: null, heardAt: at, result: { id, at, reason, exitCode, usedMs, egressBytes, fuel, engine } });
}

/** The customer says that it has the bytes, or the broker that they lie sealed with it. */
export function deliver(lease: Lease, { at, signer, content }: FactOf<"delivery">): Step {
  const asCustomer = speaksAs(lease, signer, "customer");
  if (!asCustomer && !speaksAs(lease, signer, "broker-receipts"))
    return refused("not_yours", "the delivery is signed by neither its customer nor the broker");
  if (content.result !== lease.result?.id) return refused("conflict", "the delivery is of another result");
  if (asCustomer !== (content.sealed === null))
    return refused("bad_payload", "a customer has the bytes, the broker has them sealed", { path: "sealed" });
  return taken({ ...lease, state: "ended", delivery: { by: asCustomer ? "customer" : "broker", at } });
}
