/** One case from its order to the end of its last lease; and what it came to, for whoever judges it. */
import { parseDocument, type AnyDocument } from "@xenoservers/protocol";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { untilOver } from "./deadlines.ts";
import { Doubting } from "./doubting.ts";
import type { Traced } from "./jobs.ts";
import type { Lie } from "./lie.ts";
import { orderOf } from "./ordering.ts";
import type { Plan } from "./plan.ts";
import { Room, crypto } from "./room.ts";
import { Serving, type Brought } from "./serving.ts";

/** Whether the customer doubts as its plan has it, whatever it was given; or what it sees to be wrong on its own machine, and only that. */
export type Attitude = "as planned" | "seeing";

export interface Filed {
  document: AnyDocument;
  at: number;
  lease: string | null;
}

export interface Played {
  plan: Plan;
  room: Room;
  /** Of the customer's own job. */
  own: readonly LeaseRow[];
  /** And the referees'. */
  leases: readonly LeaseRow[];
  /** What the customer's own machine has of the job's states, where it traced it. */
  trace: Traced | null;
  /** The leases that referees ran, by the lease that they were to judge. */
  runs: ReadonlyMap<string, readonly string[]>;
}

const ENDED_BY = { "customer-stop": "customer", "owner-stop": "owner", "time-limit": "time", "server-failed": "failure" } as const;

function broughtBy({ end, terms, job, stoppedFuel }: Plan): Brought {
  const byTime = end === "budget" && terms === "by-interval";
  const by = byTime ? "time" : end in ENDED_BY ? ENDED_BY[end as keyof typeof ENDED_BY] : null;
  return { job, segment: null, ended: by && { by, fuel: stoppedFuel } };
}

export async function play(plan: Plan, attitude: Attitude, lie: Lie | null = null): Promise<Played> {
  const room = await Room.open(plan, lie);
  await room.enter("order");
  const { leases: ids } = await orderOf(room, plan.job, null);
  const doubting = new Doubting(room, plan.job);
  let served: readonly string[] = [];
  if (ids.length > 0) {
    room.orderId = (await room.store.load("lease", ids)).get(ids[0] ?? "")?.data.orderId ?? "";
    const serving = new Serving(room, ids, broughtBy(plan));
    await serving.all();
    served = serving.leases;
    if (attitude === "as planned") await doubting.doubt(served, plan.doubt, false);
    else await doubting.doubt(await doubting.wrong(served), plan.doubt === "segment" ? "segment" : "whole", true);
  }
  await untilOver(room);
  await room.endRounds();
  const leases = await room.allLeases();
  return { plan, room, own: leases.filter(({ id }) => served.includes(id)), leases, trace: doubting.own, runs: doubting.judging.runs };
}

const read = new WeakMap<Room, Map<string, Filed[]>>();

/** Everything that was filed for a lease of a case that is over, in the log's order. */
export async function filedFor({ room }: Played, lease: string): Promise<Filed[]> {
  const known = read.get(room) ?? new Map<string, Filed[]>();
  read.set(room, known);
  const filed = known.get(lease) ?? (await fetched(room, lease));
  known.set(lease, filed);
  return filed;
}

async function fetched(room: Room, lease: string): Promise<Filed[]> {
  const stored = await room.store.documentsOf(lease);
  return stored.flatMap(({ envelope, at }) => {
    const parsed = parseDocument(crypto, envelope);
    return parsed.ok ? [{ document: parsed.document, at, lease }] : [];
  });
}
