/**
 * Leases that go from this server to another of its owner, and that come from there. Who controls the inputs: the owner (which server);
 * the server that hands over, once its lease was found to be its own; before that, whoever connects.
 */
import { unfitReason } from "@xenoservers/market";
import { parseDocumentOf, payloadType, type Envelope, type Kind } from "@xenoservers/protocol";
import type { Pipe } from "@xenoservers/protocol/link";
import { checkPurchaseOrder } from "@xenoservers/verify";
import { movedInProblem, type Admission } from "../admission.ts";
import type { Handed } from "../lease/handing-over.ts";
import { documentsOf } from "../lease/hearing.ts";
import { newRecord, type LeaseRecord } from "../lease/journal.ts";
import type { RoomProblem } from "../lease/kept-room.ts";
import { LeaseFacts, factWorld } from "../lease/lease-facts.ts";
import { LeaseRunner } from "../lease/lease-runner.ts";
import type { RunnerWorld } from "../lease/runner-world.ts";
import { openTaker } from "./giving.ts";
import { answerGiving, type Coming } from "./taking.ts";

interface LeaseMovesHost {
  runners: Map<string, LeaseRunner>;
  /** This server's, as it is listed now; null where it takes no leases. */
  offer(): Envelope | null;
  admission(): Pick<Admission, "isListed" | "listing" | "placed">;
  /** Why another lease of this customer has no room on the disk. */
  roomProblem(customer: string): Promise<RoomProblem | null>;
}

/** By which key the lease is reached now: of the offer that it was bound to or, where it has moved, of the one that it moved to. */
function channelKeyOf({ crypto }: RunnerWorld, { record, po }: LeaseRunner): string | null {
  const moves = record.facts.flatMap(({ envelope }) => {
    const move = parseDocumentOf(crypto, "move", envelope);
    const takeover = move.ok ? parseDocumentOf(crypto, "takeover", move.document.payload.takeover) : move;
    return takeover.ok ? [takeover.document.payload.offer] : [];
  });
  const offer = parseDocumentOf(crypto, "offer", moves.at(-1) ?? po.offer);
  return offer.ok ? offer.document.payload.channelKey : null;
}

/** As it begins here, with all that was told of it: where it is by that, it stands still here. Throws, in words, where it cannot be. */
function recordOf(world: RunnerWorld, lease: string, { receipt, work }: Handed): LeaseRecord {
  const { grants, filed } = documentsOf(receipt);
  const ofKind = (kind: Kind) => filed.find(({ envelope }) => envelope.payloadType === payloadType(kind));
  const first = ofKind("purchase-order");
  const po = parseDocumentOf(world.crypto, "purchase-order", first?.envelope);
  // before anything else is looked at, which whoever connects may have made long: by the broker's pinned key, and of this owner
  if (!po.ok || po.document.keyid !== world.pins().keys.purchaseOrders || po.document.payload.owner !== world.owner)
    throw new Error("it is another owner's");
  const checked = checkPurchaseOrder(factWorld(world, grants), first?.envelope);
  if (!checked.ok) throw new Error(`its purchase order does not hold: ${checked.why}`);
  if (checked.po.id !== lease || !first) throw new Error("its documents are another lease's");
  const acceptance = ofKind("acceptance")?.envelope;
  if (!acceptance) throw new Error("no server has accepted it");
  const incarnation = Math.floor(world.timers.now() / 1_000);
  const record = { ...newRecord({ lease, grants: [...grants], facts: [{ ...first }], acceptance, incarnation }), work };
  new LeaseFacts(world, record).rebuild({ grants, filed });
  return record;
}

export class LeaseMoves {
  readonly #world: RunnerWorld;
  readonly #host: LeaseMovesHost;

  constructor(world: RunnerWorld, host: LeaseMovesHost) {
    this.#world = world;
    this.#host = host;
  }

  /** Whoever connects may hand a lease over. */
  answer(pipe: Pipe): void {
    const { channelKey, channelMemory, timers, log } = this.#world;
    const admit = (lease: string, key: string, handed: Handed): Promise<Coming> => this.#admit(lease, key, handed);
    answerGiving({ channelKey, channelMemory, timers, log, offer: this.#host.offer, admit }, pipe);
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

  async #admit(lease: string, channelKey: string, handed: Handed): Promise<Coming> {
    const { runners } = this.#host;
    const runner = new LeaseRunner(this.#world, recordOf(this.#world, lease, handed));
    const why =
      channelKey === channelKeyOf(this.#world, runner)
        ? this.#problem(runner, handed)
        : "whoever hands it over is not the server that has it";
    const problem = why ?? (await this.#host.roomProblem(runner.po.customer))?.why ?? null;
    if (problem !== null) throw new Error(problem);
    // of one that was here before
    await runners.get(lease)?.left();
    if (runners.has(lease)) throw new Error("the lease is here already");
    runners.set(lease, runner);
    return this.#coming(runner);
  }

  #problem({ facts, driver, po, order }: LeaseRunner, { work }: Handed): string | null {
    const { lease } = facts;
    const { crypto, timers, marketNow } = this.#world;
    const own = parseDocumentOf(crypto, "offer", this.#host.offer());
    if (!own.ok) return "this server takes no leases any more";
    if (lease.owner !== this.#world.owner) return "it is another owner's";
    if (lease.state !== "open") return `it is ${lease.state}`;
    if (lease.server === this.#world.server) return "it is this server's already";
    const { moves } = driver;
    const staying =
      unfitReason(lease, own.document.id, own.document.payload, marketNow() ?? timers.now()) ??
      (moves ? moves.problemWith(work, { po, order }) : `no guest of the driver ${driver.name} comes here`);
    return staying ?? driver.problemWith(work, { po, order }) ?? movedInProblem(this.#host.admission(), lease.resources);
  }

  #coming(runner: LeaseRunner): Coming {
    const { record, takingOver } = runner;
    return {
      arrive: () => takingOver.arrive(),
      restore: (arrived) => takingOver.restore(arrived),
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
