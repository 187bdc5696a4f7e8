/** What an honest server does of its leases: accepts, runs, claims, commits, hands in, sees to it that the bytes are delivered. */
import { EMPTY_BYTES_DIGEST, EMPTY_TREE_DIGEST, TERMS, bindsReplica, lastClaimOf } from "@xenoservers/market";
import { parseDocumentOf, type Payload, type Segment } from "@xenoservers/protocol";
import { ENGINE_VERSION } from "@xenoservers/engine";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { jobProblem } from "../../packages/xenoserver/src/drivers/wasm/wasm-work.ts";
import { untilPast, untilSettled, untilShown } from "./deadlines.ts";
import { NO_INPUTS, run, segmentOf, type Came, type CourtJob } from "./jobs.ts";
import type { Trouble } from "./plan.ts";
import { crypto, type Room, type Said } from "./room.ts";

type Reason = Payload<"result">["reason"];
/** What a result states of a run. */
type Stated = Omit<Came, "rootAt"> & { stateRoot: string | null };

/** What a lease is for, as its customer brings it to its server. */
export interface Brought {
  job: CourtJob;
  segment: { segment: Segment; states: ReadonlyMap<string, Uint8Array> } | null;
  /** How it is ended from outside; null where the job is left to itself. */
  ended: { by: "customer" | "owner" | "time" | "failure"; fuel: bigint } | null;
}

const NOTHING: Omit<Stated, "reason"> = {
  ...{ engine: ENGINE_VERSION, exitCode: null, fuel: 0n, memoryHash: null, stateRoot: null },
  ...{ outputDigest: EMPTY_TREE_DIGEST, stdoutDigest: EMPTY_BYTES_DIGEST, stderrDigest: EMPTY_BYTES_DIGEST },
};

async function orderedFor(room: Room, { id }: LeaseRow): Promise<{ po: Payload<"purchase-order">; order: Payload<"order"> }> {
  const stored = await room.store.document(id);
  const po = parseDocumentOf(crypto, "purchase-order", stored?.envelope);
  const order = po.ok ? parseDocumentOf(crypto, "order", po.document.payload.order) : po;
  if (!po.ok || !order.ok) throw new Error("a lease without its purchase order");
  return { po: po.document.payload, order: order.document.payload };
}

/** Why the job is not the one that was ordered, or does not fit it; null when it may run. */
async function misfit(room: Room, lease: LeaseRow, { job, segment }: Brought): Promise<string | null> {
  const pieces = segment ? [...segment.states].map(([digest, { length }]) => ({ digest, size: length })) : [];
  const part = segment && { segment: segment.segment, pieces };
  const brought = {
    spec: job.spec,
    inputs: { entries: [], mounts: [...NO_INPUTS.mounts] },
    moduleSize: job.module.bytes.length,
    stdinSize: 0,
  };
  return jobProblem(crypto, { engine: ENGINE_VERSION, doesRuns: true, hasRuntime: () => false }, await orderedFor(room, lease), {
    ...brought,
    segment: part,
  });
}

/** What reason a server gives for what ended its guest from outside. */
function stopReason({ timeBound }: LeaseRow, by: "customer" | "owner" | "time" | "failure"): Reason {
  if (by === "time") return timeBound;
  return by === "failure" ? "server-failed" : `${by}-stop`;
}

/** What the guest of this lease comes to. */
function cameTo(lease: LeaseRow, { job, segment, ended }: Brought): Stated {
  const limit = BigInt(lease.fuelMax);
  if (segment) return segmentOf(job, segment.segment, segment.states);
  if (ended?.by === "failure") return { ...NOTHING, reason: "server-failed" };
  const isStopped = ended !== null && ended.fuel < limit;
  const came = { ...run(job, isStopped ? ended.fuel : limit), stateRoot: null };
  if (came.reason !== "fuel-limit") return came;
  // where it was stopped is chance, and says nothing of its memory
  return isStopped ? { ...came, reason: stopReason(lease, ended.by), memoryHash: null } : { ...came, reason: lease.fuelBound };
}

/** What a referee says that lies: that the job wrote something else, or came to another state. */
const lied = ({ stateRoot }: Stated): Partial<Stated> =>
  stateRoot === null ? { stdoutDigest: EMPTY_TREE_DIGEST } : { stateRoot: EMPTY_TREE_DIGEST };

export class Serving {
  readonly #room: Room;
  readonly #brought: Brought;
  readonly #ids: string[];
  /** By lease, of those that were opened. */
  readonly #usedMs = new Map<string, number>();

  readonly #trouble: Trouble | null;

  /** `trouble`: of a referee. */
  constructor(room: Room, leases: readonly string[], brought: Brought, trouble: Trouble | null = null) {
    this.#room = room;
    this.#trouble = trouble;
    this.#brought = brought;
    this.#ids = [...leases];
    room.leases.push(...leases);
  }

  get leases(): readonly string[] {
    return this.#ids;
  }

  async #open(): Promise<LeaseRow[]> {
    const rows = await Promise.all(this.#ids.map((id) => this.#room.lease(id)));
    return rows.filter(({ state }) => state === "open" || state === "stopping");
  }

  /** Of several servers only the first falls silent. */
  #isSilent(at: "acceptance" | "claim" | "commitment" | "result", { slot, attempt, orderId }: LeaseRow): boolean {
    if (this.#trouble === "absent" && at === "acceptance") return true;
    if (this.#trouble === "silent" && at !== "acceptance") return true;
    return slot === 0 && attempt === 1 && orderId === this.#room.orderId && this.#room.isSilent(at);
  }

  async all(): Promise<void> {
    await this.#accept();
    await this.#run();
    await this.#handIn();
    await untilSettled(this.#room);
    await this.#tooLate();
  }

  async #accept(): Promise<void> {
    const room = this.#room;
    await room.enter("acceptance");
    for (const id of this.#ids) {
      const lease = await room.lease(id);
      if (lease.state !== "bound") continue;
      const { name, id: server } = room.machineOf(lease);
      const accepted = this.#isSilent("acceptance", lease) ? null : await room.act(name, "acceptance", { lease: id, server });
      if (!accepted?.ok && lease.replicas === 1) await this.#nextAttempt(lease);
    }
  }

  /** Where a server does not come, the broker goes to the next: the loop above then has another lease to look at. */
  async #nextAttempt({ id, orderId }: LeaseRow): Promise<void> {
    const room = this.#room;
    await untilPast(room, id);
    const next = (await room.store.load("order", [orderId])).get(orderId)?.data.lease;
    if (next === undefined || next === null || this.#ids.includes(next)) return;
    if (!room.leases.includes(next)) room.leases.push(next);
    this.#ids.push(next);
  }

  // --- the run --------------------------------------------------------------------------------------------------------------------------

  async #run(): Promise<void> {
    const room = this.#room;
    await room.enter("run");
    const begun = await this.#open();
    await room.pass(room.plan.bytesMs);
    const began = room.now;
    const runMs = Math.max(
      this.#brought.ended?.by === "time" ? Math.max(0, ...begun.map((each) => each.durationMsMax)) : room.plan.runMs,
      1,
    );
    for (let round = 0; room.now - began < runMs; round++) {
      await room.pass(Math.min(runMs - (room.now - began), Math.ceil(room.plan.timings.claimIntervalMs * 0.8)));
      if (room.now - began < runMs) for (const lease of await this.#open()) await this.#claim(lease, room.now - began, round);
    }
    for (const { id, durationMsMax } of begun) this.#usedMs.set(id, Math.min(room.now - began, durationMsMax));
    await this.#stop();
  }

  async #claim(lease: LeaseRow, usedMs: number, round: number): Promise<void> {
    const room = this.#room;
    if (this.#isSilent("claim", lease)) return;
    const { id, incarnation, sequence, egressBytes } = lastClaimOf(lease);
    const isNewDisk = room.plan.losesDisk && round === 1;
    await room.act(room.machineOf(lease).name, "claim", {
      ...{ lease: lease.id, incarnation: isNewDisk ? incarnation + 1 : incarnation, sequence: sequence + 1 },
      ...{ usedMs: Math.min(usedMs, lease.durationMsMax), egressBytes, previous: id },
    });
  }

  async #stop(): Promise<void> {
    const room = this.#room;
    const by = this.#brought.ended?.by;
    if (by !== "customer" && by !== "owner") return;
    for (const lease of await this.#open()) {
      const { name, owner } = room.machineOf(lease);
      const party = by === "customer" ? room.customer.party : owner.party;
      await room.act(by === "customer" ? "customer" : name, "stop", { lease: lease.id, party, reason: "" });
    }
  }

  // --- the result -----------------------------------------------------------------------------------------------------------------------

  async #resultOf(lease: LeaseRow): Promise<Said<"result">> {
    const room = this.#room;
    const last = lastClaimOf(lease);
    const why = await misfit(room, lease, this.#brought);
    const isOther = why?.includes("not the one") ?? false;
    const found: Stated = why === null ? cameTo(lease, this.#brought) : { ...NOTHING, reason: isOther ? "input-missing" : "job-refused" };
    const { name, id: server } = room.machineOf(lease);
    const came = this.#trouble === "liar" ? { ...found, ...lied(found) } : found;
    const { engine, reason, exitCode, memoryHash, outputDigest, stdoutDigest, stderrDigest, stateRoot } = came;
    return room.say(name, "result", {
      ...{
        lease: lease.id,
        server,
        jobHash: lease.jobHash,
        engine,
        incarnation: last.incarnation,
        reason,
        exitCode,
        memoryHash,
        outputDigest,
        stdoutDigest,
        stderrDigest,
      },
      usedMs: Math.max(TERMS[reason].ran ? (this.#usedMs.get(lease.id) ?? 0) : 0, last.usedMs),
      ...{
        egressBytes: last.egressBytes,
        lastClaim: last.id,
        fuel: came.fuel.toString(),
        fuelMax: lease.fuelMax,
        stateRoot,
        nonce: room.id(),
        detail: "",
      },
    });
  }

  async #handIn(): Promise<void> {
    const room = this.#room;
    await room.enter("commitment");
    const results: { lease: LeaseRow; result: Said<"result"> }[] = [];
    for (const lease of await this.#open()) results.push({ lease, result: await this.#resultOf(lease) });
    const isCommitted = ({ lease, result }: (typeof results)[number]): boolean => bindsReplica(lease, result.document.payload);
    for (const each of results) await (isCommitted(each) ? this.#commit(each.lease, each.result) : this.#show(each.lease, each.result));
    await untilShown(room);
    await room.enter("result");
    for (const each of results) if (isCommitted(each)) await this.#show(each.lease, each.result);
    await this.#deliver();
  }

  async #commit(lease: LeaseRow, { document }: Said<"result">): Promise<void> {
    if (this.#isSilent("commitment", lease)) return;
    const { name, id: server } = this.#room.machineOf(lease);
    const { incarnation } = document.payload;
    await this.#room.act(name, "commitment", { lease: lease.id, server, incarnation, result: document.id });
  }

  async #show(lease: LeaseRow, result: Said<"result">): Promise<void> {
    if (this.#isSilent("result", lease) || (lease.replicas > 1 && this.#isSilent("commitment", lease))) return;
    const answer = await this.#room.hand(result);
    if (!answer.ok && answer.code === "too_early") await this.#again(result, answer.facts["startBy"]);
  }

  /** Whoever waits for the job's bytes waits as long as the broker says. */
  async #again(result: Said<"result">, until: unknown): Promise<void> {
    const room = this.#room;
    if (typeof until === "number") await room.pass(Math.max(0, until - room.now));
    await room.hand(result);
  }

  async #deliver(): Promise<void> {
    const room = this.#room;
    await room.enter("delivery");
    for (const id of this.#ids) {
      const { state, result, customer } = await room.lease(id);
      if (state !== "delivering" || !result || room.isSilent("delivery")) continue;
      if (!room.plan.isSealed) await room.act(room.customerOf({ customer }).by, "delivery", { lease: id, result: result.id, sealed: null });
      // whoever has not said that it has the bytes can fetch them, sealed
      if ((await room.lease(id)).state === "delivering") await room.sealed(id);
    }
  }

  /** Who was silent comes when all is over: it is told so, and nothing changes. */
  async #tooLate(): Promise<void> {
    const room = this.#room;
    if (!room.plan.silence?.isLate) return;
    for (const id of this.#ids) {
      const lease = await room.lease(id);
      if (!this.#isSilent("acceptance", lease) && !this.#isSilent("result", lease)) continue;
      const { name, id: server } = room.machineOf(lease);
      const late =
        lease.openedAt === null ? await room.act(name, "acceptance", { lease: id, server }) : await room.hand(await this.#resultOf(lease));
      if (late.ok) room.problems.push(`what came too late was taken from a lease that was ${lease.state}`);
    }
  }
}
