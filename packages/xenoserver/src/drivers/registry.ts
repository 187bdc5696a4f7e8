/** The drivers of one server by name, and what they put together into its offer. */
import { ASSURANCES, type Driver } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import type { GuestDriver, Offered } from "./driver.ts";

export type Drivers = ReadonlyMap<Driver, GuestDriver>;

export const driversByName = (drivers: readonly GuestDriver[]): Drivers => new Map(drivers.map((driver) => [driver.name, driver]));

const NOTHING_OFFERED: Required<Offered> = { engine: "none", sandbox: "weak", accel: "none", vmScore: 0, limits: "process", vmEngine: "" };

type OfferedByAll = Required<Offered> & Pick<Payload<"offer">, "drivers" | "assurances" | "egress" | "fetches" | "holds">;

/** `allowed`: what the owner lets guests reach, at most, and whether images may be fetched. */
export function offeredByAll(drivers: Drivers, allowed: Pick<Payload<"offer">, "egress" | "fetches">): OfferedByAll {
  const all = [...drivers.values()];
  const can = (what: "network" | "images"): boolean => all.some(({ capabilities }) => capabilities[what]);
  return {
    ...Object.assign({}, NOTHING_OFFERED, ...all.map((driver) => driver.offered())),
    drivers: [...drivers.keys()],
    holds: Object.fromEntries(all.map(({ name, holds }) => [name, [...holds]])),
    assurances: ASSURANCES.filter((assurance) => all.some(({ assurances }) => assurances.includes(assurance))),
    egress: can("network") ? allowed.egress : "none",
    fetches: can("images") && allowed.fetches,
  };
}
