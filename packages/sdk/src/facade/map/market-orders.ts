/** How a map's jobs are ordered and followed, one by one or several as one lease, by the steps of their market. */
import type { ReceiptVerification } from "@xenoservers/verify";
import type { BuiltWork } from "../../built.ts";
import type { BoundOrder } from "../../purchase-order.ts";
import type { WhileWaiting } from "../../waiting.ts";
import type { FilesPlace } from "../here.ts";
import type { Prepared } from "../prepared-run.ts";
import { toldHere } from "../read-input.ts";
import { runsIn, runsPlace, runsTogether } from "../several-runs.ts";
import type { Orders } from "./market-ways.ts";
import type { RunsTaken } from "./parts.ts";
import type { Followable } from "./ways.ts";

/** The steps of a market's orders. */
interface Steps extends Pick<Orders, "client" | "here" | "read" | "earlier"> {
  ready(read: Awaited<ReturnType<Orders["read"]>>, signal: AbortSignal | undefined): Promise<Prepared>;
  place(prepared: Prepared, waiting: WhileWaiting): Promise<BoundOrder>;
  keptJob(bound: BoundOrder): Promise<BuiltWork | null>;
  follow(bound: BoundOrder, work: BuiltWork | null, place: FilesPlace, watching: object, taken?: RunsTaken): Followable;
}

/** What a map needs of its market. */
export interface MapMeans {
  ordering: Steps;
  /** A lease's purchase order, checked. */
  bound(lease: string): Promise<BoundOrder>;
  verify(lease: string): Promise<ReceiptVerification>;
}

export function ordersOf({ ordering, bound, verify }: MapMeans): Orders {
  const { client, here } = ordering;
  /** As it was ordered last: what is too large to be kept is brought all the same where only the order's answer was lost. */
  const ordered = new WeakMap<FilesPlace, BuiltWork>();
  const workOf = async (placed: BoundOrder, planned: FilesPlace): Promise<BuiltWork | null> => {
    const work = ordered.get(planned);
    return work?.jobHash === placed.order.payload.jobHash ? work : ordering.keptJob(placed);
  };
  return {
    ...{ client, here, verify },
    read: (input) => ordering.read(input),
    earlier: (read) => ordering.earlier(read),
    order: async (read, waiting) => {
      const prepared = await ordering.ready(read, waiting.signal).catch(toldHere);
      ordered.set(read.planned, prepared.work);
      const placed = await ordering.place(prepared, waiting);
      return ordering.follow(placed, prepared.work, read.planned, {});
    },
    follow: async (lease, planned) => {
      const placed = await bound(lease);
      return ordering.follow(placed, await workOf(placed, planned), planned, {});
    },
    orderTogether: async (reads, asked, waiting) => {
      const { planned, wanted, taken } = runsTogether(reads, asked);
      const prepared = await ordering.ready({ planned, wanted }, waiting.signal).catch(toldHere);
      const placed = await ordering.place(prepared, waiting);
      return { job: ordering.follow(placed, prepared.work, planned, {}, taken), taken };
    },
    followRun: async (lease, run, planned) => {
      const placed = await bound(lease);
      const work = await ordering.keptJob(placed);
      const { place, taken } = runsPlace(runsIn(work), new Map([[run, planned]]));
      return { job: ordering.follow(placed, work, place, {}, taken), taken };
    },
  };
}
