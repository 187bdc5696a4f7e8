/** Why a server gets no orders, and what its owner can do. */
import type { ServerStanding } from "@xenoservers/protocol";

const RESTS: Readonly<Record<ServerStanding["why"][number], string>> = {
  offline: "not connected",
  not_listed: "not listed",
  expired: "its offer has expired",
  clock_off: "its clock is off: set it (NTP)",
  cooling: "rests after orders that it missed",
  suspended: "suspended by the operator",
  full: "full",
  judging_only: "judges for the market, and takes nothing else",
};

/** Empty: it gets orders. */
export const restsOf = ({ why }: ServerStanding): string => why.map((each) => RESTS[each]).join(", ");
