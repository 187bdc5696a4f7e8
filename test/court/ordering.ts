/** The customer's orders: of its job, and of a referee's run over it. */
import type { CourtJob } from "./jobs.ts";
import type { Own, Room } from "./room.ts";
import { toHex } from "@xenoservers/protocol";

/** A run of the referee: of a segment no more than its own fuel. */
interface RefereeRun {
  jobHash: string;
  referee: string;
  step: string | null;
}

/** What pays for any run that the court looks at. */
const AMPLE_NANOS = 10n ** 13n;
const WITHIN_MS = 3_600_000;

function orderFor({ customer, plan, now }: Room, { spec }: CourtJob, run: RefereeRun | null): Omit<Own<"order">, "clientId" | "jobHash"> {
  const { assurance, terms, replicas, budgetNanos, durationMsMax, timings } = plan;
  const own = { assurance, terms, replicas, budgetNanos, conditions: [] };
  const judging = {
    ...{ assurance: "isolated" as const, terms: "on-result" as const, replicas: 1, budgetNanos: AMPLE_NANOS },
    conditions: [{ key: "server", op: "=" as const, value: run?.referee ?? "" }],
  };
  const wanted = run ? judging : own;
  const fuelMax = run?.step ?? spec.fuelMax;
  return {
    ...{ party: customer.party, account: customer.account, batch: null, segment: run?.step !== null && run !== null, driver: "wasm" },
    ...{ accel: "any", egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 4, diskMib: 4 }, on: "market" },
    ...{ ...wanted, budgetNanos: wanted.budgetNanos.toString(), maxPriceNanosPerHour: null, durationMsMax, fuelMax },
    ...{ expiresAt: now + WITHIN_MS, label: "", feeBasisPointsMax: 1_000, timings, channelKey: toHex(customer.channelKey.publicKey) },
  };
}

/** Places it; the leases that it was bound to, none where it was refused. `run`: a referee's, null for the customer's own job. */
export async function orderOf(room: Room, job: CourtJob, run: RefereeRun | null): Promise<string[]> {
  const jobHash = run?.jobHash ?? job.jobHash;
  const own = run ? [] : room.machines.filter(({ name }) => name === "referee");
  const conditions = own.map(({ id }) => ({ key: "server", op: "!=" as const, value: id }));
  const wanted = orderFor(room, job, run);
  const answer = await room.act("customer", "order", {
    ...{ ...wanted, conditions: [...wanted.conditions, ...conditions], clientId: room.clientId(), jobHash },
  });
  if (!answer.ok) return [];
  const { lease, replicas } = answer.answer;
  const all = Array.isArray(replicas) ? replicas.map((each) => String(Object(each)["lease"])) : [];
  return all.length > 0 ? all : [String(lease)];
}
