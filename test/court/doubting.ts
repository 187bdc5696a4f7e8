/**
 * How a customer doubts, and what follows: an objection that the operator rules on, the whole job before a referee, or a trace and the
 * one segment in it before a referee. The customer runs jobs on its own machine as anyone may.
 */
import { TERMS, limitToRun, objectionDepositNanos, proofOf, type LeaseState } from "@xenoservers/market";
import { parseDocumentOf } from "@xenoservers/protocol";
import { resultProblem } from "@xenoservers/verify";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { firstDifference } from "../../packages/sdk/src/segment.ts";
import { traced, type CourtJob, type Traced } from "./jobs.ts";
import { Judging } from "./judging.ts";
import type { Doubt } from "./plan.ts";
import { resultOf, runAgain } from "./re-execution.ts";
import { crypto, type Room } from "./room.ts";

const inWindow = (state: LeaseState): boolean => state === "settled" || state === "disputed";

/** Whether running the job again can show it wrong. */
function isComparable(lease: LeaseRow): boolean {
  const { result, end, state, fuelMax } = lease;
  if (!inWindow(state) || !result || !end) return false;
  return proofOf(lease, { ...result, fuelMax }) !== null && TERMS[end.reason].proof !== null;
}

/** Where a second run of it ends; null: at its own end. */
function endOf(lease: LeaseRow): bigint | null {
  const upTo = lease.result && limitToRun(lease, { ...lease.result, fuelMax: lease.fuelMax });
  return upTo === null ? null : BigInt(upTo);
}

export class Doubting {
  readonly #room: Room;
  readonly #job: CourtJob;
  /** The customer's own trace; null where the job has none, or none was needed. */
  own: Traced | null = null;
  readonly judging: Judging;

  constructor(room: Room, job: CourtJob) {
    this.#room = room;
    this.#job = job;
    this.judging = new Judging(room, job);
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
    return rows.filter(isComparable).map(({ id }) => id);
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

  // --- before a referee ---------------------------------------------------------------------------------------------------------------

  async #ask(lease: string, step: bigint | null): Promise<boolean> {
    const { customer } = this.#room;
    const said = { lease, party: customer.party, step: step?.toString() ?? null };
    return (await this.#room.act("customer", "trace-request", said)).ok;
  }

  async #byWhole(leases: readonly string[]): Promise<void> {
    const asked: string[] = [];
    for (const id of leases) if ((await this.#isDoubted(id)) || (await this.#ask(id, null))) asked.push(id);
    for (const id of asked) await this.judging.judge(id, null);
  }

  #isDoubted = async (id: string): Promise<boolean> => (await this.#room.lease(id)).trace !== null;

  /** False where the server has no states to show, and the whole job has to be run. */
  async #bySegment(id: string, sees: boolean): Promise<boolean> {
    const room = this.#room;
    const lease = await room.lease(id);
    const upTo = endOf(lease);
    const step = BigInt(lease.result?.fuel ?? 0) / BigInt(room.plan.parts) + 1n;
    if (!(await this.#ask(id, step))) return false;
    this.own = traced(this.#job, step, upTo);
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
    const part = {
      segment: { from, step: step.toString(), index, upTo: upTo?.toString() ?? null },
      states: new Map([...this.own.states, ...states]),
    };
    await this.judging.judge(id, part);
    return true;
  }

  /** What the server answers; null where it does not. */
  async #trace(id: string): Promise<{ roots: readonly string[]; detail: string; states: Traced["states"] } | null> {
    const room = this.#room;
    const lease = await room.lease(id);
    if (room.isSilent("trace") || !lease.trace) return null;
    const { name, id: server } = room.machineOf(lease);
    const { request, step } = lease.trace;
    if (step === null) return null; // nothing was asked of it
    const made = traced(this.#job, BigInt(step), endOf(lease));
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
