/**
 * What shows that an ending is true: the total table of reason, driver, assurance and terms. Whoever compares results, takes a dispute,
 * draws an audit or binds a replica by its commitment asks here. Every ending that is paid can be run again, or is bounded by claims and
 * the broker's clock, or costs the minimum that the order stated (PROTOCOL section 9). Pure.
 */
import { ASSURANCES, type Assurance } from "../assurance.ts";
import { DRIVERS, DRIVER_NAMES, runsAlike, type Driver } from "../drivers.ts";
import type { ResultContent } from "./facts.ts";
import type { Lease } from "./lease.ts";
import { END_REASONS, PAYMENT_TERMS, TERMS, type EndReason, type PaymentTerms, type Proof } from "./terms.ts";

/** Under what a job was run. */
type Under = Pick<Lease, "driver" | "assurance">;
type Ended = Pick<ResultContent, "reason" | "fuel" | "fuelMax">;

/**
 * What keeps what is paid within what is so: that anybody can run it again; receipted claims within the broker's clock; the broker's
 * clock, by what a machine can burn in it; the order's cancellation minimum; or nothing is paid.
 */
type PayBound = "re-execution" | "claims" | "broker-clock" | "minimum" | "unpaid";

interface EndingRow {
  statedBy: "server" | "broker";
  /** How running the job again shows it; null: not at all. */
  proof: Proof | null;
  bound: PayBound;
  /** A replica commits to it before any other is shown. */
  committed: boolean;
  /** A referee may be asked, by its customer or by an audit's draw. */
  judged: boolean;
}

/** `atTime`: where either limit may have ended it, it was the one of time. */
function proofUnder(reason: EndReason, { driver, assurance }: Under, atTime: boolean): Proof | null {
  const { proof, cause } = TERMS[reason];
  if (proof === null || !runsAlike(driver, assurance)) return null;
  const needsEngine = proof !== "own-end" || cause === "customer-limits";
  if (needsEngine && !DRIVERS[driver].can.exactLimits) return null;
  if (proof !== "either-limit") return proof;
  return atTime ? "stated-fuel" : "fuel-limit";
}

/** How running the job again shows this result; null where it shows nothing, also where the guest has done nothing yet. */
export function proofOf(under: Under, { reason, fuel, fuelMax }: Ended): Proof | null {
  const proof = proofUnder(reason, under, BigInt(fuel) < BigInt(fuelMax));
  return proof === "stated-fuel" && fuel === "0" ? null : proof;
}

/** Whether two honest servers come to the same whatever each was paid for, so that replicas are compared by it. */
export const isAlike = (result: Ended): boolean => {
  const { proof } = TERMS[result.reason];
  return proof === "own-end" || result.reason === "fuel-limit";
};

/**
 * The fuel under which a second run ends where the first did; null: it ends by itself, under the job's own limits. A guest is stopped at
 * the first check at which it has used so much (engine/src/machine.ts).
 */
export function fuelToRun(proof: Proof, { fuel, fuelMax }: Ended): bigint | null {
  switch (proof) {
    case "own-end":
      return null;
    case "fuel-limit":
      return BigInt(fuelMax);
    case "stated-fuel":
      return BigInt(fuel);
  }
}

/** The same as documents have it; null also where running it again shows nothing. */
export function limitToRun(under: Under, ended: Ended): string | null {
  const proof = proofOf(under, ended);
  return proof === null ? null : (fuelToRun(proof, ended)?.toString() ?? null);
}

/** A run that came to an end which others come to as well: of a segment the state is shown by it. One that could not be begun has none. */
export const cameToState = (reason: EndReason): boolean => {
  const { proof, cause } = TERMS[reason];
  return (proof === "own-end" || proof === "fuel-limit") && cause !== "customer-bytes";
};

function boundOf(reason: EndReason, terms: PaymentTerms, proof: Proof | null): PayBound {
  switch (TERMS[reason].pay[terms]) {
    case "nothing":
      return "unpaid";
    case "cancellation":
      return "minimum";
    case "used":
      if (terms === "by-interval") return "claims";
      return proof === "own-end" || proof === "fuel-limit" ? "re-execution" : "broker-clock";
  }
}

/** One cell; null where no lease ends so. */
export function endingRow(reason: EndReason, under: Under, terms: PaymentTerms): EndingRow | null {
  const { statedBy, takes } = TERMS[reason];
  const { can, assurances } = DRIVERS[under.driver];
  if (!assurances.includes(under.assurance) || (takes !== null && !can[takes])) return null;
  const proof = proofUnder(reason, under, terms === "by-interval");
  const isPaid = TERMS[reason].pay[terms] === "used";
  return { statedBy, proof, bound: boundOf(reason, terms, proof), committed: proof !== null && isPaid, judged: proof !== null };
}

interface EndingCell extends EndingRow {
  reason: EndReason;
  driver: Driver;
  assurance: Assurance;
  terms: PaymentTerms;
}

/** Every way in which a lease can end. */
export const ENDINGS: readonly EndingCell[] = END_REASONS.flatMap((reason) =>
  DRIVER_NAMES.flatMap((driver) =>
    ASSURANCES.flatMap((assurance) =>
      PAYMENT_TERMS.flatMap((terms) => {
        const row = endingRow(reason, { driver, assurance }, terms);
        return row ? [{ reason, driver, assurance, terms, ...row }] : [];
      }),
    ),
  ),
);
