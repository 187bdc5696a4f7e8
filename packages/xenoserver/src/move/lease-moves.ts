/**
 * Leases that go from this server to another of its owner, and that come from there. Who controls the inputs: the owner (which server);
 * the server that hands over, once its lease was found to be its own; before that, whoever connects.
 */
import { unfitReason } from "@xenoservers/market";
import { parseDocumentOf, payloadType, type Envelope, type Payload } from "@xenoservers/protocol";
import type { Pipe } from "@xenoservers/protocol/link";
import { checkPurchaseOrder } from "@xenoservers/verify";
import { movedInProblem, type Admission } from "../admission.ts";
import type { Handed } from "../lease/taker.ts";
import { newRecord, type LeaseRecord } from "../lease/journal.ts";
import type { RoomProblem, RoomRules } from "../lease/kept-room.ts";
import { LeaseFacts, factWorld } from "../lease/lease-facts.ts";
import { LeaseRunner } from "../lease/lease-runner.ts";
import type { RunnerWorld } from "../lease/runner-world.ts";
import { ArrivingRoom, type Bounded } from "./arriving-room.ts";
import { openTaker } from "./giving.ts";
import { answerGiving, type Coming, type Learning } from "./taking.ts";

interface LeaseMovesHost {
  runners: Map<string, LeaseRunner>;
  /** This server's, as it is listed now; null where it takes no leases. */
  offer(): Envelope | null;
  admission(): Pick<Admission, "isListed" | "listing" | "placed">;
  /** Why another lease of this customer has no room on the disk. */
  roomProblem(customer: string): Promise<RoomProblem | null>;
  /** What of the disk is to stay free, as the owner wants it now. */
  room(): RoomRules;
}

/** By which key a lease is reached: of the offer that it was bound to or, where it has moved, of the one that it moved to. */
function channelKeyOf({ crypto }: RunnerWorld, po: Payload<"purchase-order">, move: Envelope | null): string | null {
  const moved = parseDocumentOf(crypto, "move", move);
  const takeover = moved.ok ? parseDocumentOf(crypto, "takeover", moved.document.payload.takeover) : moved;
  const offer = parseDocumentOf(crypto, "offer", takeover.ok ? takeover.document.payload.offer : po.offer);
  return offer.ok ? offer.document.payload.channelKey : null;
}

const lastMoveIn = ({ facts }: LeaseRecord): Envelope | null =>
  facts.findLast(({ envelope }) => envelope.payloadType === payloadType("move"))?.envelope ?? null;

const NOT_WHERE_IT_IS = "whoever hands it over is not the server that has it";

/** As it begins here, before its log was told: of this owner, and said by a server at which it was. Throws, in words, where it is not. */
function recordOf(world: RunnerWorld, lease: string, channelKey: string, { grants, po, acceptance, move, work }: Handed): LeaseRecord {
  const { purchaseOrders } = world.pins().keys;
  const read = parseDocumentOf(world.crypto, "purchase-order", po.envelope);
  // before anything else is looked at, which whoever connects may have made long: by the broker's pinned key, and of this owner
  if (!read.ok || read.document.keyid !== purchaseOrders || read.document.payload.owner !== world.owner)
    throw new Error("it is another owner's");
  const moved = parseDocumentOf(world.crypto, "move", move);
  const isMoves = moved.ok && moved.document.keyid === purchaseOrders && moved.document.payload.lease === lease;
  if (move !== null && !isMoves) throw new Error("what is said of its last move does not hold");
  if (channelKeyOf(world, read.document.payload, move) !== channelKey) throw new Error(NOT_WHERE_IT_IS);
  const checked = checkPurchaseOrder(factWorld(world, grants), po.envelope);
  if (!checked.ok) throw new Error(`its purchase order does not hold: ${checked.why}`);
  if (checked.po.id !== lease) throw new Error("its documents are another lease's");
  const incarnation = Math.floor(world.timers.now() / 1_000);
  return { ...newRecord({ lease, grants: [...grants], facts: [po], acceptance, incarnation }), work };
}

export class LeaseMoves {
  readonly #world: RunnerWorld;
  readonly #host: LeaseMovesHost;
  readonly #room: ArrivingRoom;

  constructor(world: RunnerWorld, host: LeaseMovesHost) {
    this.#world = world;
    this.#host = host;
    this.#room = new ArrivingRoom(() => host.room());
  }

  /** Whoever connects may hand a lease over. `known`: it has one of this owner's; false where it is one too many. */
  answer(pipe: Pipe, known: () => boolean = () => true): void {
    const { channelKey, channelMemory, timers, log } = this.#world;
    const begin = (lease: string, key: string, handed: Handed): Learning => this.#begin(lease, key, handed);
    answerGiving({ channelKey, channelMemory, timers, log, known, offer: this.#host.offer, begin }, pipe);
  }

  /** What takes room here, and why it does not leave this server, in words; null where it may. */
  problems(): Map<string, string | null> {
    const placed = [...this.#host.runners].filter(([, { holdsCapacity }]) => holdsCapacity);
    return new Map(placed.map(([lease, { handingOver }]) => [lease, handingOver.problem()]));
  }

  /** Resolves once the lease is at that server, which answers at the pipe. Throws, in words, where it stays. */
  async give(lease: string, server: string, pipe: Pipe): Promise<void> {
    try {
      const runner = this.#host.runners.get(lease);
      if (!runner) throw new Error("there is no such lease here");
      await runner.handingOver.give(await openTaker(this.#world, pipe, { server, lease }));
    } finally {
      pipe.close();
    }
  }

  #begin(lease: string, channelKey: string, handed: Handed): Learning {
    const record = recordOf(this.#world, lease, channelKey, handed);
    const facts = new LeaseFacts(this.#world, record);
    return {
      learn: (documents) => facts.learn(documents),
      admit: () => this.#admit(record, channelKey, handed.keptMib),
      graceMs: facts.lease.timings.graceMs,
    };
  }

  async #admit(record: LeaseRecord, channelKey: string, keptMib: number | null): Promise<Coming> {
    const { runners } = this.#host;
    const runner = new LeaseRunner(this.#world, record);
    const { lease } = record;
    const isFromThere = channelKey === channelKeyOf(this.#world, runner.po, lastMoveIn(record));
    const why = isFromThere ? this.#problem(runner) : NOT_WHERE_IT_IS;
    const problem = why ?? (await this.#host.roomProblem(runner.po.customer))?.why ?? null;
    if (problem !== null) throw new Error(problem);
    // of one that was here before
    await runners.get(lease)?.left();
    if (runners.has(lease)) throw new Error("the lease is here already");
    runners.set(lease, runner);
    return this.#coming(runner, keptMib);
  }

  #problem({ record: { work }, facts, driver, po, order }: LeaseRunner): string | null {
    const { lease } = facts;
    const { crypto, timers, marketNow } = this.#world;
    const own = parseDocumentOf(crypto, "offer", this.#host.offer());
    if (!own.ok) return "this server takes no leases any more";
    if (lease.owner !== this.#world.owner) return "it is another owner's";
    if (lease.state !== "open") return `it is ${lease.state}`;
    if (lease.server === this.#world.server) return "it is this server's already";
    const { moves } = driver;
    if (!work) return "what was ordered is not said";
    const staying =
      unfitReason(lease, own.document.id, own.document.payload, marketNow() ?? timers.now()) ??
      (moves ? moves.problemWith(work, { po, order }) : `no guest of the driver ${driver.name} comes here`);
    return staying ?? driver.problemWith(work, { po, order }) ?? movedInProblem(this.#host.admission(), lease.resources);
  }

  #coming(runner: LeaseRunner, keptMib: number | null): Coming {
    const { driver, record, takingOver, po, order } = runner;
    const { moves } = driver;
    if (!moves || !record.work) throw new Error("no guest of this driver comes here");
    const most = moves.carriedMib(record.work, { po, order });
    const now = keptMib ?? most.kept;
    let held: Bounded | null = null;
    return {
      arrive: async () => (held = await this.#room.hold({ ...most, now }, () => takingOver.arrive())),
      learn: (documents) => runner.facts.learn(documents),
      async restore() {
        if (!held) throw new Error("nothing has come");
        try {
          await takingOver.restore(held.whole());
        } finally {
          held.end();
        }
      },
      take: (handed) => {
        const offer = this.#host.offer();
        if (!offer) throw new Error("this server takes no leases any more");
        return takingOver.take(handed, offer);
      },
      graceMs: runner.facts.lease.timings.graceMs,
      letGo: async (why) => {
        if (!record.takeover) await runner.over(why);
      },
    };
  }
}
