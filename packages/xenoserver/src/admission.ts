/**
 * Whether a purchase order is accepted. That it binds exactly what customer and owner signed, at the announced fee, within allowed parties,
 * conditions, egress, hours of the offer and timings, is the fold's to say (`checkPurchaseOrder`); here stands what this server knows of
 * itself. The first reason counts, in this order. Who controls the inputs: the broker (the purchase order), the customer (the order inside
 * it).
 */
import { isDeepStrictEqual } from "node:util";
import { RESOURCE_KEYS, clockWords, fitsWithin, wirePriceOf, type Driver, type Resources } from "@xenoservers/market";
import type { Payload } from "@xenoservers/protocol";
import type { Drivers } from "./drivers/registry.ts";
import type { Listing } from "./listing.ts";

/** A lease that takes room. */
export interface Placed {
  resources: Resources;
  driver: Driver;
}

export interface Admission {
  server: string;
  serverKey: string;
  owner: string;
  now: number;
  /** How far this machine's clock is ahead of the market's, where the broker has measured it. */
  clock: { offsetMs: number } | null;
  /** Whether the offer that is embedded binds it still. */
  isBinding: boolean;
  /** Whether it is of the daemon that runs now. */
  isOwnOffer: boolean;
  /** The owner wants the machine listed now: its hours, and not draining. */
  isListed: boolean;
  listing: Listing;
  drivers: Drivers;
  placed: readonly Placed[];
}

interface Bound {
  po: Payload<"purchase-order">;
  order: Payload<"order">;
}

/** What the placed leases leave free. */
function freeOf({ listing, placed }: Pick<Admission, "listing" | "placed">): Resources {
  const free = { ...listing.resources };
  for (const { resources } of placed) for (const key of RESOURCE_KEYS) free[key] -= resources[key];
  return free;
}

/** What they leave of the memory in which guests' files lie. */
function freeMemoryDisk({ listing, placed, drivers }: Admission): number {
  const inMemory = placed.filter(({ driver }) => drivers.get(driver)?.capabilities.filesInMemory === true);
  return inMemory.reduce((left, { resources }) => left - resources.diskMib, listing.memoryDiskMib);
}

/** Why this purchase order is not accepted, in words; null when it may be. */
export function admissionProblem(admission: Admission, { po, order }: Bound): string | null {
  const { server, serverKey, owner, now, clock, isBinding, isListed, listing, drivers } = admission;
  const driver = drivers.get(order.driver);
  if (po.server !== server || po.serverKey !== serverKey || po.owner !== owner) return "it is for another server";
  if (!isBinding) return "it embeds an offer that is not current";
  // an owner that has started its daemon with another price is not held to the one before; one that changed it while the daemon ran has
  // left what was under way as it was
  if (!admission.isOwnOffer && !isDeepStrictEqual(po.price, wirePriceOf(listing.price)))
    return "its price is not the one that is listed now";
  if (!isListed) return "the server is not listed now";
  if (po.acceptBy <= now)
    return `it came after its acceptBy${clock ? `; this machine's clock was ${clockWords(clock)} when it logged in` : ""}`;
  if (!driver) return `no guest of the driver ${order.driver} can run here`;
  const isStranger = po.customer !== owner;
  if (isStranger && driver.sandbox.strength === "weak" && !listing.allowWeakSandbox) return "the sandbox is too weak for strangers";
  if (isStranger && listing.allowedParties.length > 0 && !listing.allowedParties.includes(po.customer))
    return "its customer is not served here";
  if (order.egress !== "none" && !driver.capabilities.network) return `a guest of the driver ${order.driver} has no network`;
  return fitsWithin(po.resources, freeOf(admission)) ? null : "the capacity is taken";
}

/** Why a lease of another server of this owner has no place here, in words; null where it has. What it was bound for stands in its fold. */
export function movedInProblem(admission: Pick<Admission, "isListed" | "listing" | "placed">, resources: Resources): string | null {
  if (!admission.isListed) return "the server is not listed now";
  return fitsWithin(resources, freeOf(admission)) ? null : "the capacity is taken";
}

/**
 * Why an order that the offer allows cannot be run here for what its customer asks of it, in words; null when it can. It is accepted and
 * turned away: were it left to lapse, whoever orders so would have this server miss one order after the other, for nothing.
 */
export function askedTooMuch(admission: Admission, { po, order }: Bound): string | null {
  if (admission.drivers.get(order.driver)?.capabilities.filesInMemory !== true) return null;
  const [{ diskMib }, free] = [po.resources, Math.max(0, freeMemoryDisk(admission))];
  if (diskMib <= free) return null;
  const has = `this server keeps files of ${order.driver} jobs in memory and has ${free} MiB for them now`;
  return `${has}, the order wants ${diskMib}: order less disk (--disk), or another server`;
}
