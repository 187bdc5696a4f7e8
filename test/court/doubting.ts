/**
 * How a customer doubts, and what follows: an objection that the operator rules on, the whole job before the referee, or a trace and the
 * one segment in it before the referee. The customer runs jobs on its own machine as anyone may.
 */
import { isComparable, objectionDepositNanos, type LeaseState } from "@xenoservers/market";
import { endRootOf, parseDocumentOf, type Payload, type Segment } from "@xenoservers/protocol";
import { resultProblem, stoppedAt, type ReExecuted } from "@xenoservers/verify";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { firstDifference } from "../../packages/sdk/src/segment.ts";
import { run, segmentHash, traced, type CourtJob, type Traced } from "./jobs.ts";
import { orderOf } from "./ordering.ts";
import { crypto, type Room } from "./room.ts";
import { Serving } from "./serving.ts";
import type { Doubt } from "./plan.ts";

export async function resultOf(room: Room, { result }: LeaseRow): Promise<Payload<"result"> | null> {
  const stored = result && (await room.store.document(result.id));
  const parsed = stored && parseDocumentOf(crypto, "result", stored.envelope);
  return parsed?.ok ? parsed.document.payload : null;
}

/** What running the job again on one's own machine comes to, as `xeno verify --re-execute` has it. */
export function runAgain(job: CourtJob, manifest: Payload<"result">, own: Traced | null = null): ReExecuted {
  const came = run(job, stoppedAt(manifest) ?? BigInt(job.spec.fuelMax));
  if (!own) return came;
  const roots = [...own.roots, endRootOf(crypto, came)];
  return { ...came, rootAt: (part) => roots[part - 1] ?? null };
}

const inWindow = (state: LeaseState): boolean => state === "settled" || state === "disputed";

export class Doubting {
  readonly #room: Room;
  readonly #job: CourtJob;
  /** The customer's own trace; null where the job has none, or none was needed. */
  own: Traced | null = null;
  /** Of this case: the lease that the referee ran. */
  referee: string | null = null;

  constructor(room: Room, job: CourtJob) {
    this.#room = room;
    this.#job = job;
  }

  /** Of these leases, those whose result is not what the customer's own machine comes to. */
  async wrong(leases: readonly string[]): Promise<string[]> {
    const wrong: string[] = [];
    for (const id of leases) {
      const result = await resultOf(this.#room, await this.#room.lease(id));
      if (result && resultProblem(result, runAgain(this.#job, result)) !== null) wrong.push(id);
    }
    return wrong;
  }

  /** `sees`: its own machine has shown that these results are wrong. */
  async doubt(leases: readonly string[], manner: Doubt, sees: boolean): Promise<void> {
    await this.#room.enter("doubt");
    if (manner === "objection") return this.#object(leases);
    if (manner === "none") return;
    const comparable = await this.#comparable(leases);
    const [first] = comparable;
    if (!first) return;
    if (manner === "segment" && (await this.#bySegment(first, sees))) return;
    await this.#byWhole(comparable);
  }

  async #comparable(leases: readonly string[]): Promise<string[]> {
    const rows = await Promise.all(leases.map((id) => this.#room.lease(id)));
    return rows.flatMap(({ id, state, result, end }) =>
      inWindow(state) && result && end && isComparable(result) && isComparable(end) ? [id] : [],
    );
  }

  // --- before the operator ------------------------------------------------------------------------------------------------------------

  async #object(leases: readonly string[]): Promise<void> {
    const room = this.#room;
    const { expectedPercent, part } = room.plan;
    for (const id of leases.slice(0, 1)) {
      const lease = await room.lease(id);
      if (!lease.end || lease.state !== "settled") continue;
      const { name, owner } = room.machineOf(lease);
      const byOwner = part % 3 === 0;
      const expected = byOwner ? BigInt(lease.holdNanos) : (BigInt(lease.end.dueNanos) * BigInt(expectedPercent)) / 100n;
      // nobody puts down what it has not got
      const canPay = !byOwner || objectionDepositNanos(lease.end.dueNanos, expected.toString()) <= (await room.balance(owner, "available"));
      if (expected.toString() === lease.end.dueNanos || !canPay) continue;
      const party = byOwner ? owner.party : room.customer.party;
      const objected = await room.act(byOwner ? name : "customer", "objection", {
        ...{ lease: id, party, expectedDueNanos: expected.toString(), reason: "" },
      });
      // the operator finds that the settlement is right, for it is the fold's
      if (objected.ok && !room.isSilent("ruling"))
        await room.act("operator", "ruling", { lease: id, ownerNanos: lease.end.ownerNanos, reason: "" });
    }
  }

  // --- before the referee -------------------------------------------------------------------------------------------------------------

  /** The pay waits while the referee works. */
  async #freeze(leases: readonly string[]): Promise<void> {
    const room = this.#room;
    for (const id of leases) {
      const { state, end } = await room.lease(id);
      if (state !== "settled" || !end || end.dueNanos === "0") continue;
      await room.act("customer", "objection", { lease: id, party: room.customer.party, expectedDueNanos: "0", reason: "before a referee" });
    }
  }

  async #refereeRun(job: CourtJob, segment: { segment: Segment; states: ReadonlyMap<string, Uint8Array> } | null): Promise<string | null> {
    const room = this.#room;
    if (room.isSilent("referee")) return null;
    await room.enter("referee");
    const jobHash = segment ? segmentHash(job, segment.segment) : job.jobHash;
    const ordered = await orderOf(room, job, { jobHash, referee: room.machine("referee").id, step: segment?.segment.step ?? null });
    const [lease] = ordered;
    if (lease === undefined) return null;
    await new Serving(room, [lease], { job, segment, ended: null }).all();
    this.referee = lease;
    return lease;
  }

  async #bring(leases: readonly string[], refereeLease: string, segment: number | null): Promise<void> {
    const room = this.#room;
    await room.enter("dispute");
    if (room.isSilent("dispute")) return;
    for (const lease of leases) await room.act("customer", "dispute", { lease, party: room.customer.party, refereeLease, segment });
  }

  async #byWhole(leases: readonly string[]): Promise<void> {
    await this.#freeze(leases);
    const lease = await this.#refereeRun(this.#job, null);
    if (lease !== null) await this.#bring(leases, lease, null);
  }

  /** False where the server has no states to show, and the whole job has to be run. */
  async #bySegment(id: string, sees: boolean): Promise<boolean> {
    const room = this.#room;
    const lease = await room.lease(id);
    const step = BigInt(lease.result?.fuel ?? 0) / BigInt(room.plan.parts) + 1n;
    const asked = await room.act("customer", "trace-request", { lease: id, party: room.customer.party, step: step.toString() });
    if (!asked.ok) return false;
    this.own = traced(this.#job, step);
    await room.enter("trace");
    const shown = await this.#trace(id);
    if (shown === null) return true; // its silence costs it the pay
    const { roots, states } = shown;
    if (!this.own || shown.detail !== "") return false;
    const parted = firstDifference(roots, this.own.roots);
    const isParted = parted <= Math.max(roots.length, this.own.roots.length);
    // where both have the same states, the customer doubts whichever it likes, and one that sees a lie what comes after all of them
    const index = isParted || sees ? parted : Math.min(room.plan.part, roots.length + 1);
    const from = index === 1 ? null : (roots[index - 2] ?? null);
    const part = { segment: { from, step: step.toString(), index }, states: new Map([...this.own.states, ...states]) };
    const referee = await this.#refereeRun(this.#job, part);
    if (referee !== null) await this.#bring([id], referee, index);
    return true;
  }

  /** What the server answers; null where it does not. */
  async #trace(id: string): Promise<{ roots: readonly string[]; detail: string; states: ReadonlyMap<string, Uint8Array> } | null> {
    const room = this.#room;
    const lease = await room.lease(id);
    if (room.isSilent("trace") || !lease.trace) return null;
    const { name, id: server } = room.machineOf(lease);
    const { request, step } = lease.trace;
    const made = traced(this.#job, BigInt(step));
    const said = room.say(name, "trace", {
      ...{ lease: id, server, request, jobHash: lease.jobHash, engine: lease.engine, step },
      ...{ roots: made?.roots ?? [], detail: made ? "" : "this job has no breakpoints" },
    });
    const answer = await room.hand(said);
    if (!answer.ok) return null;
    const stored = await room.store.document((await room.lease(id)).trace?.document ?? "");
    const parsed = parseDocumentOf(crypto, "trace", stored?.envelope);
    return parsed.ok ? { ...parsed.document.payload, states: made?.states ?? new Map() } : null;
  }
}
