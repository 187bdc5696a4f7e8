/** What a lease can cost at worst and when, read off the market's terms: nothing here knows a reason by name. */
import {
  TERMS,
  disputeDepositNanos,
  objectionDepositNanos,
  type Cause,
  type Pay,
  type PaymentTerms,
  type PriceVector,
} from "@xenoservers/market";
import { money } from "./ui.ts";

const CAUSE_SAYS: Record<Cause, string> = {
  job: "it ends by itself",
  "customer-limits": "it reaches your limits",
  customer: "you stop it or do not bring its inputs",
  "customer-bytes": "its bytes cannot be run",
  owner: "the owner stops it",
  host: "the server fails or is not heard",
  broker: "the broker is away too long",
  untold: "it crashes, an image at an address cannot be fetched or its result does not come, and nobody can tell why",
};
const causes = Object.keys(CAUSE_SAYS).filter((cause): cause is Cause => Object.hasOwn(CAUSE_SAYS, cause));

const DEAREST: readonly Pay[] = ["used", "cancellation", "nothing"];

/** By what brings an end about: the most that is paid then. */
export function worstPay(cause: Cause, terms: PaymentTerms): Pay {
  const pays = Object.values(TERMS).flatMap((row) => (row.cause === cause ? [row.pay[terms]] : []));
  return DEAREST.find((pay) => pays.includes(pay)) ?? "nothing";
}

const listed = (pay: Pay, terms: PaymentTerms): string =>
  causes
    .filter((cause) => worstPay(cause, terms) === pay)
    .map((cause) => CAUSE_SAYS[cause])
    .join("; ");

interface Worst {
  terms: PaymentTerms;
  holdNanos: bigint;
  cancellationNanos: bigint;
  price: PriceVector;
}

/** When what is paid, and what a doubt about it costs. */
export function worstLines({ terms, holdNanos, cancellationNanos, price }: Worst, currency: string): string[] {
  const pays: [Pay, string][] = [
    ["used", `what was used, at most ${money(holdNanos, currency)}`],
    ["cancellation", money(cancellationNanos, currency)],
    ["nothing", "nothing"],
  ];
  const lines = pays.flatMap(([pay, says]) => (listed(pay, terms) === "" ? [] : [`you pay  ${says}, when ${listed(pay, terms)}`]));
  const objection = objectionDepositNanos(holdNanos.toString(), "0");
  const doubt = disputeDepositNanos(holdNanos, price);
  const deposits = `an objection puts down ${money(objection, currency)} at most, a dispute ${money(doubt, currency)}`;
  return [...lines, `doubts   ${deposits} and the referee's run; lost only where you are wrong or do not follow up`];
}
