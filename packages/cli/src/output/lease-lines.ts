/** Leases in words for people: how one ended, who is to blame, what it cost, what to do next. */
import { TERMS, isLive, type EndReason } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { shortId } from "@xenoservers/sdk";
import { green, red, yellow } from "./terminal.ts";
import { duration, gigaFuel, money } from "./ui.ts";

const STATE_SAYS: Partial<Record<LeaseView["state"], string>> = {
  lapsed: "no server took it up in time; the money is back: run it again",
  delivering: "its result waits until its bytes are here, or lie sealed with the broker",
  committed: "its server has committed to a result and shows it once every replica has",
};

export const stateLine = ({ id, state }: LeaseView): string =>
  `lease ${shortId(id)} is ${state}${STATE_SAYS[state] ? `: ${STATE_SAYS[state]}` : ""}`;

/** Of endings at a limit: the option that orders more. */
const ORDERS_MORE: Partial<Record<EndReason, string>> = {
  "time-limit": "--max-time",
  "fuel-limit": "--max-fuel, or a longer --max-time,",
  budget: "--budget",
  "memory-limit": "--mem",
  "output-limit": "--max-output",
};

/** How it ended, as its reason says, and what to do where more would help. */
export function endingSays(reason: EndReason): string {
  const more = ORDERS_MORE[reason];
  return `${reason}: ${TERMS[reason].says}${more === undefined ? "" : `; ${more} orders more`}`;
}

/** Why it ended, who is to blame, what it cost: one line. */
export function endLine(lease: LeaseView, currency: string): string {
  const { end } = lease;
  if (!end) return stateLine(lease);
  const colour = end.reason === "completed" && end.exitCode === 0 ? green : end.blame === "nobody" ? yellow : red;
  const how = end.reason === "completed" ? `exit ${end.exitCode}` : endingSays(end.reason);
  const blame = end.blame === "nobody" ? "" : `  blame ${end.blame}`;
  const used = lease.terms === "on-result" ? gigaFuel(BigInt(end.billableFuel)) : duration(end.billableMs);
  return `${colour(how)}${blame}  ${money(end.dueNanos, currency)} for ${used}, ${money(end.refundNanos, currency)} back`;
}

export function nextCommand(lease: LeaseView): string {
  const id = shortId(lease.id);
  if (isLive(lease.state)) return `xeno attach ${id}`;
  if (lease.end && TERMS[lease.end.reason].retryFree) return "run it again: this try cost what stands above and nothing more";
  return lease.end ? `xeno verify ${id}` : "xeno ps";
}
