/**
 * One lease on the server, from its purchase order to the end. What the lease is stands in its fold (`lease-facts.ts`), what this server
 * does about it in its stage (`stages.ts`); this file lets the one follow the other. Everything signed is journaled first; everything can
 * be taken up again after a crash from the record alone. Who controls the inputs: the broker (documents, answers), the customer (channel,
 * what it signs), the guest (its ending and output).
 */
import { invariant, shortExtension, type Lease, type Resources } from "@xenoservers/market";
import { parseDocumentOf, type Payload } from "@xenoservers/protocol";
import type { Documents, Pipe } from "@xenoservers/protocol/link";
import { Attachments } from "../customer/attachments.ts";
import type { GuestDriver } from "../drivers/driver.ts";
import { missingDriver } from "../drivers/missing.ts";
import { Claims } from "./claims.ts";
import { customersView } from "./customers-view.ts";
import { GuestRun } from "./guest-run.ts";
import { HandingIn } from "./handing-in.ts";
import { HandingOver } from "./handing-over.ts";
import { Hearing } from "./hearing.ts";
import { JobIntake } from "./job-intake.ts";
import type { LeaseBytes, LeaseRecord, StopReason } from "./journal.ts";
import type { Kept } from "./kept-room.ts";
import { LeaseClock } from "./lease-clock.ts";
import type { LeaseContext } from "./lease-context.ts";
import { LeaseFacts } from "./lease-facts.ts";
import { withNothing, type GuestEnd } from "./guest-end.ts";
import type { RunnerWorld } from "./runner-world.ts";
import { Retention } from "./retention.ts";
import { STAGES, next, type Stage, type StageEvent } from "./stages.ts";
import { filedBy, surely } from "./submitting.ts";
import { TakingOver } from "./taking-over.ts";
import { TraceAnswer } from "./trace-answer.ts";

/** Where an earlier daemon left the lease. */
function resumed({ overAt, result, commitment, guest }: LeaseRecord, lease: Lease, server: string): Stage {
  if (overAt !== null) return { is: "over" };
  if (result) return { is: commitment && (lease.commitment?.revealedAt ?? null) === null ? "committed" : "ended" };
  if (lease.server !== server) return { is: "taking" };
  if (guest) return { is: "beginning" };
  return { is: lease.openedAt === null ? "accepting" : "waiting" };
}

export class LeaseRunner implements LeaseContext {
  readonly world: RunnerWorld;
  readonly record: LeaseRecord;
  readonly facts: LeaseFacts;
  readonly po: Payload<"purchase-order">;
  readonly order: Payload<"order">;
  readonly driver: GuestDriver;
  readonly #attachments: Attachments;
  readonly #clock: LeaseClock;
  readonly #claims: Claims;
  readonly #intake: JobIntake;
  readonly #guestRun: GuestRun;
  readonly #handingIn: HandingIn;
  readonly #trace: TraceAnswer;
  readonly handingOver: HandingOver;
  readonly takingOver: TakingOver;
  /** What is kept of it once it is over, as it was found last. */
  #keptBytes: Promise<LeaseBytes> | null = null;
  readonly #sleepers = new Set<() => void>();
  readonly #hearing: Hearing;
  readonly #retention = new Retention(this, () => this.#forget());
  #stage: Stage;
  /** Of a lease that begins, for those who wait for its guest. */
  #beginning: PromiseWithResolvers<void> | null = null;

  constructor(world: RunnerWorld, record: LeaseRecord) {
    this.world = world;
    this.record = record;
    this.facts = new LeaseFacts(world, record);
    const po = parseDocumentOf(world.crypto, "purchase-order", record.facts[0]?.envelope);
    const order = po.ok ? parseDocumentOf(world.crypto, "order", po.document.payload.order) : po;
    invariant(po.ok && order.ok, `the journal of lease ${record.lease} is damaged`);
    this.po = po.document.payload;
    this.order = order.document.payload;
    this.driver = world.drivers.get(this.order.driver) ?? missingDriver(this.order.driver, world.timers);
    this.#stage = resumed(record, this.facts.lease, world.server);
    this.#clock = new LeaseClock(
      this,
      (reason) => this.apart(this.stop(reason)),
      () => this.#attachments.sayStates(),
    );
    this.#guestRun = new GuestRun(this, this.#clock, {
      begins: () => this.#attachments.sendState(),
      began: () => {
        this.#attachments.sendState();
        this.#attachments.pump();
      },
      changed: () => this.#attachments.pump(),
      stood: (why) => this.#attachments.say(why),
    });
    this.#claims = new Claims(this, {
      usedMs: () => this.usedMs,
      egressBytes: () => this.#guestRun.egressBytes,
      silent: (unheardMs) => {
        this.#guestRun.silent();
        this.apart(this.#clock.silent(unheardMs));
      },
      heard: async () => {
        this.#guestRun.heard();
        await this.#clock.heard();
        await this.handingOver.heard();
      },
    });
    this.handingOver = new HandingOver(this, this.#clock, {
      guest: () => this.#guestRun.guest,
      claims: this.#claims,
      stop: (reason) => this.stop(reason),
    });
    this.takingOver = new TakingOver(this, { guestRun: this.#guestRun, taken: () => this.#claims.schedule() });
    this.#intake = new JobIntake(this, this.#clock, () => this.#guestRun.start());
    this.#handingIn = new HandingIn(this, {
      guest: () => this.#guestRun.guest,
      found: () => this.#guestRun.found(),
      claims: this.#claims,
      show: () => this.#attachments.pump(),
      isAttached: () => this.#attachments.count > 0,
    });
    this.#trace = new TraceAnswer(this, (trace) => this.#guestRun.job(trace));
    const [clock, intake, guestRun, handingIn, trace] = [this.#clock, this.#intake, this.#guestRun, this.#handingIn, this.#trace];
    this.#attachments = new Attachments(customersView(this, { clock, intake, guestRun, handingIn, trace }));
    this.#hearing = new Hearing(this, (before) => this.#changed(before));
  }

  // --- what the parts share -------------------------------------------------------------------------------------------------------------

  stage = (): Stage => this.#stage;

  move = (event: StageEvent): boolean => {
    const stage = next(this.#stage, event);
    if (stage === null) return false;
    const before = this.#stage.is;
    this.#stage = stage;
    if (before === "preparing" && stage.is !== "beginning") this.#guestRun.callOff();
    if (before === "beginning") this.#beginning?.resolve();
    return true;
  };

  begun(): Promise<void> | null {
    if (this.#stage.is !== "beginning") return null;
    return (this.#beginning ??= Promise.withResolvers()).promise;
  }

  async save(): Promise<void> {
    this.#keptBytes = null;
    await this.world.journal.save(this.record);
    this.#lookThrough();
  }

  log(what: string, facts: Record<string, unknown> = {}): void {
    this.world.log(what, { lease: this.record.lease, ...facts });
  }

  apart(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.log("a lease failed", { error: error instanceof Error ? error.stack : String(error) }));
  }

  sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        cancel();
        this.#sleepers.delete(wake);
        resolve();
      };
      const cancel = this.world.timers.after(ms, wake);
      this.#sleepers.add(wake);
    });

  took(filed: Documents["filed"]): Promise<void> {
    return this.take({ grants: [], filed });
  }

  async finish(end: GuestEnd): Promise<void> {
    if (this.handingOver.isElsewhere) return this.handingOver.holdEnd(end);
    if (this.move({ t: "finished" })) await this.ending(end);
  }

  async ending(end: GuestEnd): Promise<void> {
    this.#claims.stop();
    this.#clock.cancel();
    await this.#handingIn.sign(end);
  }

  // --- the lease's facts ----------------------------------------------------------------------------------------------------------------

  take(documents: Documents): Promise<void> {
    return this.#hearing.take(documents);
  }

  catchUp(): Promise<boolean> {
    return this.#hearing.catchUp();
  }

  goOnFrom(after: string): Promise<void> {
    return this.#hearing.goOnFrom(after);
  }

  /** What the fold has made of it is what happens. */
  async #changed(before: Lease): Promise<void> {
    const { lease } = this.facts;
    const short = shortExtension(before, lease.durationMsMax);
    // it is in the log and holds; what it takes of this disk is the broker's doing
    if (short) this.log("the broker took an extension that is too short", { why: short.why });
    if (lease.durationMsMax !== before.durationMsMax) this.#clock.limit();
    if (lease.stop && !before.stop) this.apart(this.stop(lease.stop.reason));
    if (lease.commitment?.revealedAt && !before.commitment?.revealedAt) this.apart(this.#handingIn.revealed());
    if (lease.server !== before.server && lease.server !== this.world.server) await this.over("moved to another server of its owner");
    if (lease.closing) await this.over(`closed by the broker: ${lease.closing.reason}`);
    if (lease.trace) this.apart(this.#trace.give());
  }

  // --- its life -------------------------------------------------------------------------------------------------------------------------

  get resources(): Resources {
    return this.po.resources;
  }

  get holdsCapacity(): boolean {
    return STAGES[this.#stage.is].holdsCapacity;
  }

  get usedMs(): number {
    return this.#clock.usedMs;
  }

  /** Begins, or goes on where the journal says an earlier daemon stopped. */
  async start(): Promise<void> {
    const { stop } = this.record;
    if (STAGES[this.#stage.is].claims) this.#claims.takeUp(); // the silence while no daemon ran counts against the grace
    switch (this.#stage.is) {
      case "accepting":
        return this.#accept();
      case "taking":
        return this.takingOver.goOn();
      case "waiting":
        if (!this.world.drivers.has(this.order.driver)) return this.finish(withNothing("server-failed", this.driver.sandbox.why));
        return stop ? this.stop(stop) : this.#intake.resume();
      case "beginning":
        return this.#guestRun.adopt();
      case "over":
        this.#lookThrough();
        this.apart(this.#retention.keep());
        this.apart(this.#trace.give());
        return this.#guestRun.adopt();
      default:
        await this.#guestRun.adopt();
        return this.#handingIn.goOn();
    }
  }

  async #accept(): Promise<void> {
    const { acceptance } = this.record;
    const answer = await surely(this, () => this.world.submit(acceptance));
    if (this.#stage.is !== "accepting") return;
    if (!answer.ok) return this.over(`the acceptance was refused: ${answer.code}`);
    await this.took(filedBy([acceptance], answer.answer));
    if (this.facts.lease.openedAt === null) return this.over("the broker's opening is not valid");
    if (!this.move({ t: "opened" })) return;
    this.log("lease open");
    this.#claims.schedule();
    this.#attachments.sendState();
    await (this.record.stop ? this.stop(this.record.stop) : this.#intake.open());
  }

  /** Stops the guest; what it has so far is handed in under this reason. */
  stop(reason: StopReason): Promise<void> {
    return this.#guestRun.stop(reason);
  }

  async over(why: string): Promise<void> {
    const wasTaking = this.#stage.is === "taking";
    if (!this.move({ t: "over" })) return;
    this.#claims.stop();
    this.#clock.cancel();
    this.#handingIn.stop();
    this.log("lease over", { why });
    if (wasTaking) await this.takingOver.discard();
    if (!this.record.result) await this.#guestRun.kill();
    await this.#intake.forgetUnwanted();
    this.record.overAt = this.world.marketNow() ?? this.world.timers.now();
    await this.save();
    if (!this.record.guest) await this.#intake.setAside();
    this.#keptBytes = null;
    this.#lookThrough();
    this.apart(this.#retention.keep());
  }

  /** What is kept of it is found before the next lease, which would wait for that. */
  #lookThrough(): void {
    if (this.#stage.is === "over") this.apart(this.kept());
  }

  /** What is kept of it once it is over; null before. */
  async kept(): Promise<Kept | null> {
    const { lease, overAt } = this.record;
    if (overAt === null) return null;
    // every new lease asks all that are kept: they are looked through once, as soon as something was written
    const taken = await (this.#keptBytes ??= this.world.journal.bytes(this.record));
    return { lease, customer: this.po.customer, ...taken, overAt, isSpare: false, letGo: () => this.#retention.letGo() };
  }

  /** Nothing is kept here of a lease that has gone to another server, and comes back. */
  async left(): Promise<void> {
    if (this.#stage.is === "over" && this.record.result === null) await this.#retention.letGo();
  }

  async #forget(): Promise<void> {
    if (this.#stage.is === "released") return;
    this.#attachments.close();
    await this.#trace.dispose();
    await this.#guestRun.dispose();
    await this.world.journal.remove(this.record.lease);
    this.world.over(this.record.lease);
  }

  /** The daemon goes away; guests run on and are found again. */
  release(): void {
    this.move({ t: "released" });
    this.#claims.stop();
    this.#clock.cancel();
    this.#handingIn.stop();
    for (const wake of this.#sleepers) wake();
    this.#guestRun.release();
  }

  /** Once it is open, it ends as a job that is refused: what its customer asks for cannot be had here. */
  turnAway(why: string): void {
    this.#intake.unreadable(why);
  }

  attach(pipe: Pipe): void {
    this.#attachments.attach(pipe);
  }
}
