/**
 * A referee's part in a doubt: whose turn it is, its run, the next one's where that fails; what its customer brings of it; and the appeal
 * of an owner that was convicted. Of a case, the first referee that runs may be absent, silent, broken, dismissed or a liar.
 */
import { drawReferee, fuelToRun, proofOf, refereeFailed } from "@xenoservers/market";
import type { Segment } from "@xenoservers/protocol";
import { resultProblem } from "@xenoservers/verify";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import type { Actor } from "./actors.ts";
import { segmentHash, type CourtJob } from "./jobs.ts";
import { orderOf, type RefereeRun } from "./ordering.ts";
import type { Trouble } from "./plan.ts";
import { resultOf, runAgain } from "./re-execution.ts";
import type { Answer, Room } from "./room.ts";
import { Serving } from "./serving.ts";

/** The segment that is to decide, from a state that somebody has; null: the whole job. */
export type Part = { segment: Segment; states: ReadonlyMap<string, Uint8Array> } | null;

/** More turns than there are referees. */
const TURNS_MAX = 8;

/** The server that its answer names in another's place. */
function namedIn(answer: Answer): string | null {
  const referee = answer.ok || answer.code !== "not_drawn" ? null : answer.facts["referee"];
  return typeof referee === "string" ? referee : null;
}

export class Judging {
  readonly #room: Room;
  readonly #job: CourtJob;
  #trouble: Trouble | null;
  /** The leases that referees ran, by the lease that they were to judge. */
  readonly runs = new Map<string, string[]>();

  constructor(room: Room, job: CourtJob) {
    this.#room = room;
    this.#job = job;
    this.#trouble = room.plan.trouble;
  }

  /** For the customer that doubts this lease. */
  async judge(id: string, part: Part): Promise<void> {
    const room = this.#room;
    if (room.isSilent("referee")) return;
    await room.enter("referee");
    const isDismissed = this.#trouble === "dismissed";
    let run = await this.#run("customer", id, part);
    if (run === null) return;
    if (isDismissed) await this.#dismiss(run);
    await room.enter("dispute");
    if (room.isSilent("dispute")) return;
    let answer = await this.#bring(id, run, part);
    if (!answer.ok && answer.code === "not_drawn") {
      run = await this.#run("customer", id, part);
      if (run === null) return;
      answer = await this.#bring(id, run, part);
    }
    if (answer.ok && answer.answer["verdict"] !== undefined) await this.#appeal(id, part);
  }

  #bring(lease: string, refereeLease: string, part: Part): Promise<Answer> {
    const { customer } = this.#room;
    return this.#room.act("customer", "dispute", {
      ...{ lease, party: customer.party, refereeLease, ruling: null },
      segment: part?.segment.index ?? null,
    });
  }

  async #dismiss(run: string): Promise<void> {
    const room = this.#room;
    const { id } = room.machineOf(await room.lease(run));
    await room.act("operator", "referee", { server: id, active: false, clientId: room.clientId() });
  }

  // --- the run ------------------------------------------------------------------------------------------------------------------------

  /** Where the run is to end. */
  #fuelFor(lease: LeaseRow, part: Part): string {
    const { spec } = this.#job;
    const most = BigInt(spec.fuelMax);
    if (part) return part.segment.step;
    const result = lease.result && { ...lease.result, fuelMax: lease.fuelMax };
    const proof = result && proofOf(lease, result);
    return ((proof && fuelToRun(proof, result)) ?? most).toString();
  }

  /** Whose turn it is now: drawn by the settlement, which everybody can see. */
  #turn({ settlement, draw, verdict, state }: LeaseRow): string | null {
    if (!settlement || !draw) return null;
    const hasJudged = state === "convicted" && draw.round === verdict?.round;
    const drawn = drawReferee(settlement, draw.candidates, draw.round + (hasJudged ? 1 : 0));
    if (!hasJudged && drawn !== draw.referee) this.#room.problems.push("the broker names a referee that was not drawn");
    return drawn;
  }

  /** The lease in which a referee came to something; null where none did, or nobody is asked any more. */
  async #run(by: Actor, id: string, part: Part): Promise<string | null> {
    const room = this.#room;
    let named: string | null = null;
    for (let turns = 0; turns < TURNS_MAX; turns++) {
      const lease = await room.lease(id);
      if (lease.state !== (by === "customer" ? "disputed" : "convicted")) return null;
      const referee: string | null = named ?? this.#turn(lease);
      if (referee === null) return null;
      const jobHash = part ? segmentHash(this.#job, part.segment) : lease.jobHash;
      const order: RefereeRun = { by, judges: id, jobHash, referee, isSegment: part !== null, fuelMax: this.#fuelFor(lease, part) };
      const { answer, leases } = await orderOf(room, this.#job, order);
      named = namedIn(answer);
      const [run] = leases;
      if (run === undefined && (named === null || named === referee)) return null;
      if (run !== undefined && (await this.#serve(id, run, part))) return run;
    }
    room.problems.push("referees are drawn without an end");
    return null;
  }

  /** Whether the run came to something. */
  async #serve(judged: string, run: string, part: Part): Promise<boolean> {
    const room = this.#room;
    this.runs.set(judged, [...(this.runs.get(judged) ?? []), run]);
    const trouble = this.#trouble;
    this.#trouble = null;
    const ended = trouble === "broken" ? ({ by: "failure", fuel: 0n } as const) : null;
    if (trouble === "liar") room.falseReferee = room.machineOf(await room.lease(run)).name;
    await new Serving(room, [run], { job: this.#job, segment: part, ended }, trouble).all();
    const { state, end } = await room.lease(run);
    return state !== "lapsed" && !(end && refereeFailed(end.reason));
  }

  // --- the appeal ---------------------------------------------------------------------------------------------------------------------

  /** By an owner whose own machine comes to what its server has signed; by one that only hopes, where its plan has it. */
  async #appeal(id: string, part: Part): Promise<void> {
    const room = this.#room;
    const lease = await room.lease(id);
    const result = await resultOf(room, lease);
    const isRight = result !== null && resultProblem(result, runAgain(this.#job, result)) === null;
    if (!isRight && !room.plan.appealsInVain) return;
    const { name, owner } = room.machineOf(lease);
    await room.enter("appeal");
    const run = await this.#run(name, id, part);
    if (run !== null) await room.act(name, "appeal", { lease: id, party: owner.party, refereeLease: run });
  }
}
