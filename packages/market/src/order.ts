/** An order as matching and binding read it, and what does not go together in one. Who controls the input: the customer, every field. */
import { isDeterministic, type Assurance } from "./assurance.ts";
import { checkConditions } from "./condition.ts";
import { DRIVERS, runsAlike, type Driver } from "./drivers.ts";
import type { OrderContent } from "./lease/facts.ts";
import type { PaymentTerms } from "./lease/terms.ts";
import type { Wish } from "./matching.ts";

/** Servers that one order is tried on, one after another: then it has found none. */
export const ATTEMPTS_MAX = 5;

export function wishOf(order: OrderContent): Wish {
  const { resources, driver, accel, egress, assurance, terms, conditions, on, maxPriceNanosPerHour } = order;
  return {
    ...{ resources, driver, accel, assurance, terms, conditions, on },
    customer: order.party,
    isJudging: order.judges !== null,
    egress: typeof egress === "string" ? egress : "names",
    maxPriceNanosPerHour: maxPriceNanosPerHour === null ? null : BigInt(maxPriceNanosPerHour),
    durationMs: order.durationMsMax,
  };
}

/** How a customer pays who does not say: on result only what can be proved. */
export const usualTerms = (driver: Driver, assurance: Assurance): PaymentTerms =>
  runsAlike(driver, assurance) ? "on-result" : "by-interval";

/** What is wrong with an order by itself, and where; null when nothing is. */
export function orderProblem(order: OrderContent): { path: string; why: string } | null {
  const { driver, assurance, terms, on, egress, egressMibMax, replicas, segment, judges } = order;
  const { assurances, can } = DRIVERS[driver];
  const proved = runsAlike(driver, assurance);
  const bad = checkConditions(order.conditions);
  if (bad) return { path: "conditions", why: `${bad.condition}: ${bad.why}` };
  if (!assurances.includes(assurance)) return { path: "assurance", why: `the driver ${driver} does not give ${assurance}` };
  if (!proved && terms === "on-result")
    return { path: "terms", why: "a virtual machine is paid by interval unless it is deterministic: nothing proves its result" };
  if ((egress !== "none" || egressMibMax > 0) && (!can.network || proved))
    return { path: "egress", why: "only an ordinary virtual machine has a network" };
  if (replicas > 1 && (terms !== "on-result" || !isDeterministic(assurance) || segment))
    return { path: "replicas", why: "replicas need the terms on-result and a deterministic job" };
  if (judges !== null && (terms !== "on-result" || replicas > 1 || on !== "market" || !proved))
    return { path: "judges", why: "a referee runs one replica of a job that runs alike everywhere, on result" };
  return null;
}
