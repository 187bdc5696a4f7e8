/**
 * What a market does beyond one lease at a time: many jobs as one, the same job for several owners, doubts, earlier results. Whoever opens
 * a market hands it in: a page, whose bundle is bounded, has none of it unless its author does.
 */
import type { followUpOrder } from "../audits.ts";
import type { auditDue, disputeLease } from "./doubting.ts";
import type { mapOver } from "./map/map-over.ts";
import type { replicasOrdered } from "./replicas-ordered.ts";
import type { resultOfSame } from "./reuse.ts";

export interface Beyond {
  map: typeof mapOver;
  replicas: typeof replicasOrdered;
  /** Has a drawn result run again by the referee. */
  followUp: typeof followUpOrder;
  audit: typeof auditDue;
  dispute: typeof disputeLease;
  earlier: typeof resultOfSame;
}
