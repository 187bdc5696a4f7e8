/** All that a market does beyond one lease at a time, for a machine that keeps what was sent. */
import { followUpOrder } from "../audits.ts";
import type { Beyond } from "./beyond.ts";
import { auditDue, disputeLease } from "./doubting.ts";
import { mapOver } from "./map/map-over.ts";
import { replicasOrdered } from "./replicas-ordered.ts";
import { resultOfSame } from "./reuse.ts";

export const ALL_BEYOND: Beyond = {
  map: mapOver,
  replicas: replicasOrdered,
  followUp: followUpOrder,
  audit: auditDue,
  dispute: disputeLease,
  earlier: resultOfSame,
};
