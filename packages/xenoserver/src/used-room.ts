/** What of a server's room its leases take. */
import { RESOURCE_KEYS, type Resources } from "@xenoservers/market";
import type { Placed } from "./admission.ts";
import type { LeaseRunner } from "./lease/lease-runner.ts";

export const placedBy = (runners: Iterable<LeaseRunner>): Placed[] =>
  [...runners].filter(({ holdsCapacity }) => holdsCapacity).map(({ resources, driver }) => ({ resources, driver: driver.name }));

export function usedBy(runners: Iterable<LeaseRunner>): Resources {
  const used: Resources = { vcpu: 0, memoryMib: 0, diskMib: 0 };
  for (const { resources } of placedBy(runners)) for (const key of RESOURCE_KEYS) used[key] += resources[key];
  return used;
}
