/** Orders: the customer's of its job, and of whoever has a referee run it, or one segment of it. */
import { toHex } from "@xenoservers/protocol";
import type { Actor } from "./actors.ts";
import type { CourtJob } from "./jobs.ts";
import type { Answer, Own, Room } from "./room.ts";

/** A referee's run: of a segment no more than its own fuel; of what was ended before its end, no further. */
export interface RefereeRun {
  by: Actor;
  judges: string;
  jobHash: string;
  referee: string;
  isSegment: boolean;
  fuelMax: string;
}

/** What pays for any run that the court looks at, and for as much again. */
const AMPLE_NANOS = 10n ** 10n;
const WITHIN_MS = 3_600_000;

type Ordered = Omit<Own<"order">, "clientId" | "jobHash" | "auditSalt">;

function orderFor(room: Room, { spec }: CourtJob, run: RefereeRun | null): Ordered {
  const { customer, plan, now } = room;
  const { assurance, durationMsMax, timings } = plan;
  const { party, account, channelKey } = run && run.by !== "customer" && run.by !== "operator" ? room.machine(run.by).owner : customer;
  const own = { terms: plan.terms, replicas: plan.replicas, budgetNanos: plan.budgetNanos, conditions: [] };
  const judging = {
    ...{ terms: "on-result" as const, replicas: 1, budgetNanos: AMPLE_NANOS },
    conditions: [{ key: "server", op: "=" as const, value: run?.referee ?? "" }],
  };
  const wanted = run ? judging : own;
  return {
    ...{ party, account, batch: null, segment: run?.isSegment ?? false, judges: run?.judges ?? null, driver: "wasm" },
    ...{ accel: "any", egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 4, diskMib: 4 }, on: "market", assurance },
    ...{ ...wanted, budgetNanos: wanted.budgetNanos.toString(), maxPriceNanosPerHour: null, durationMsMax },
    ...{ fuelMax: run?.fuelMax ?? spec.fuelMax, expiresAt: now + WITHIN_MS, label: "", feeBasisPointsMax: 1_000, timings },
    channelKey: toHex(channelKey.publicKey),
  };
}

/** Places it; the answer, and the leases that it was bound to. `run`: a referee's, null for the customer's own job. */
export async function orderOf(room: Room, job: CourtJob, run: RefereeRun | null): Promise<{ answer: Answer; leases: string[] }> {
  const jobHash = run?.jobHash ?? job.jobHash;
  const said = { ...orderFor(room, job, run), clientId: room.clientId(), jobHash, auditSalt: room.id() };
  const answer = await room.act(run?.by ?? "customer", "order", said);
  if (!answer.ok) return { answer, leases: [] };
  const { lease, replicas } = answer.answer;
  const all = Array.isArray(replicas) ? replicas.map((each) => String(Object(each)["lease"])) : [];
  return { answer, leases: all.length > 0 ? all : [String(lease)] };
}
