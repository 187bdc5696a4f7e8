/**
 * All that a market does beyond one lease at a time: `@xenoservers/sdk/beyond`, which a page hands to its `Market`. A program on Node has
 * it by itself.
 */
import { followUpOrder } from "../audits.ts";
import type { Beyond } from "./beyond.ts";
import { auditDue, disputeLease } from "./doubting.ts";
import { mapOver } from "./map/map-over.ts";
import { replicasOrdered } from "./replicas-ordered.ts";
import { resultOfSame } from "./reuse.ts";

export const beyond: Beyond = {
  map: mapOver,
  replicas: replicasOrdered,
  followUp: followUpOrder,
  audit: auditDue,
  dispute: disputeLease,
  earlier: resultOfSame,
};

export type { Beyond } from "./beyond.ts";
