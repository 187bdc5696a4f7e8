/**
 * The xenoserver: keeps its offer listed, checks every purchase order for itself, and runs one LeaseRunner per lease. Who controls the
 * inputs: the broker (documents, events). Nothing is obeyed for its kind: each lease folds what it is told, and a purchase order must bind
 * an offer that this server signed.
 */
import { clockIsRight, clockWords } from "@xenoservers/market";
import { parseDocument, serverIdOf, signDocument, visible, type Envelope } from "@xenoservers/protocol";
import {
  LinkClient,
  MemoryShare,
  pinsOf,
  type Documents,
  type LinkOptions,
  type MarketInfo,
  type MeasuredClock,
  type Pipe,
} from "@xenoservers/protocol/link";
import { sealResult } from "@xenoservers/protocol/sealed";
import { checkPurchaseOrder } from "@xenoservers/verify";
import { admissionProblem, askedTooMuch, type Admission } from "./admission.ts";
import { EarlyChannels } from "./customer/early-channels.ts";
import type { GuestDriver } from "./drivers/driver.ts";
import { driversByName } from "./drivers/registry.ts";
import { newRecord, type Filed } from "./lease/journal.ts";
import { factWorld } from "./lease/lease-facts.ts";
import { roomProblem, type RoomProblem, type RoomRules } from "./lease/kept-room.ts";
import { LeaseRunner } from "./lease/lease-runner.ts";
import { LeaseMoves } from "./move/lease-moves.ts";
import { samePins } from "./same-pins.ts";
import { placedBy, usedBy } from "./used-room.ts";
import type { RunnerWorld, ServersOwn } from "./lease/runner-world.ts";
import { ListedOffer } from "./listed-offer.ts";
import type { Listing } from "./listing.ts";

export interface ServerOptions extends Omit<RunnerWorld, ServersOwn> {
  drivers: readonly GuestDriver[];
  connect: LinkOptions["connect"];
  /** As it is at first; `change` brings another. */
  listing: Listing;
  /** It takes no new leases until it is told to. */
  draining?: boolean;
  /** Whether the owner wants the machine listed now. */
  listed(): boolean;
  /** The market's own description, as it is now; null where it cannot be had. */
  market(): Promise<MarketInfo | null>;
  room: RoomRules;
  /** In place of sealing, for a simulation. */
  encrypt?: RunnerWorld["encrypt"];
  onRefused?(why: string): void;
  /** The broker said something. */
  onHeard?(): void;
  onState?(): void;
}

type RightOrder = Extract<ReturnType<typeof checkPurchaseOrder>, { ok: true }>;
const IDLE_CHECK_MS = 100;
/** A lease that could not be kept is tried again. */
const TAKEN_AGAIN_MS = 1_000;
/** What waits in the channels of all leases, in either direction: customers who do not read, or send messages that are not whole yet. */
const CHANNEL_MEMORY_BYTES = 256 * 1024 * 1024;

export class XenoServer {
  readonly id: string;
  readonly #options: ServerOptions;
  readonly #world: RunnerWorld;
  readonly #link: LinkClient;
  readonly #runners = new Map<string, LeaseRunner>();
  readonly #early = new EarlyChannels();
  readonly #offer: ListedOffer;
  /** To and from other servers of its owner. */
  readonly moves: LeaseMoves;
  /** What the owner gives now. */
  #given: Pick<ServerOptions, "listing" | "room">;
  /** This machine's, as the broker measured it at the last login. */
  #clock: MeasuredClock | null = null;
  #draining: boolean;
  #stopped = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.#given = options;
    this.#draining = options.draining ?? false;
    this.id = serverIdOf(options.crypto, options.signer.publicKey);
    this.#link = new LinkClient({
      connect: options.connect,
      timers: options.timers,
      crypto: options.crypto,
      login: (challenge, market) => this.#login(challenge, market),
      onUp: (live, market, clock) => {
        this.#clock = clock;
        this.#apart(null, this.#onUp(live, market));
      },
      onDown: (why) => {
        options.log("the link is down", { why: visible(why) });
        options.onState?.();
      },
      onDocuments: (documents) => this.#apart(null, this.#receive(documents)),
      onChannel: (lease, pipe) => this.#attach(lease, pipe),
      onHeard: () => options.onHeard?.(),
      onRefused: (refusal) => options.onRefused?.(`${refusal.code} ${JSON.stringify(refusal.facts)}`),
    });
    this.#world = {
      ...options,
      drivers: driversByName(options.drivers),
      encrypt: options.encrypt ?? sealResult,
      ...{ server: this.id, channelMemory: new MemoryShare(CHANNEL_MEMORY_BYTES) },
      marketNow: () => (this.#offer.terms === null ? null : options.timers.now() - (this.#clock?.offsetMs ?? 0)),
      seen: () => this.#offer.seen,
      submit: (envelope, delivery) => this.#link.submit(envelope, delivery),
      over: (lease) => {
        this.#runners.delete(lease);
        options.onState?.();
      },
    };
    this.#offer = new ListedOffer({
      ...{ server: this.id, world: this.#world, link: this.#link, market: () => options.market(), listing: () => this.#given.listing },
      isWanted: () => !this.#draining && options.listed(),
      clockIsRight: () => this.#clockIsRight,
      apart: (work) => this.#apart(null, work),
    });
    this.moves = new LeaseMoves(this.#world, {
      ...{ runners: this.#runners, offer: () => this.#offer.current, admission: () => this.#admission },
      roomProblem: (customer) => this.#roomProblem(customer),
      room: () => this.#given.room,
    });
  }

  #login(challenge: string, market: MarketInfo): Envelope {
    const { crypto, signer, owner } = this.#options;
    const pins = this.#options.pins();
    if (!samePins(pinsOf(market), pins)) throw new Error("the broker is not the one this server was enrolled with");
    return signDocument(crypto, signer, "login", { origin: pins.origin, seen: market.log, party: owner, challenge }).envelope;
  }

  /** Signs the offer anew: something of it has changed. */
  relist(): Promise<void> {
    return this.#offer.renew();
  }

  /** Takes up the leases of an earlier daemon, then connects. */
  async start(): Promise<void> {
    for (const record of await this.#options.journal.load()) this.#run(new LeaseRunner(this.#world, record));
    // where it cannot be read, the first offer that is signed says so
    const last = await this.#options.journal.lastOfferSequence().catch(() => null);
    if (last !== null) this.#offer.own.follows(last);
    this.#link.start();
  }

  get state() {
    return {
      server: this.id,
      connected: this.#link.up,
      draining: this.#draining,
      clock: this.#clock && { ...this.#clock, isRight: this.#clockIsRight },
      leases: [...this.#runners.values()].map((runner) => ({
        lease: runner.record.lease,
        stage: runner.stage().is,
        usedMs: runner.usedMs,
        resources: runner.resources,
      })),
      capacity: { offered: this.#options.listing.resources, used: usedBy(this.#runners.values()) },
    };
  }

  #run(runner: LeaseRunner): void {
    this.#runners.set(runner.record.lease, runner);
    this.#options.onState?.();
    this.#apart(runner.record.lease, runner.start());
  }

  /** Work that nobody waits for: what goes wrong in it is told to the owner, and the daemon lives on. */
  #apart(lease: string | null, work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      this.#options.log(lease ? "a lease failed" : "the daemon failed", {
        lease,
        error: error instanceof Error ? error.stack : String(error),
      }),
    );
  }

  async #onUp(live: Documents, market: MarketInfo): Promise<void> {
    this.#options.onState?.();
    this.#offer.heard(market);
    if (!this.#clockIsRight) this.#tellClock();
    // first: a daemon that is killed before its next offer is answered has taken what was bound to the last
    await this.#offer.own.lookBack(() => this.#receive(live)).finally(() => this.#offer.list());
  }

  get #clockIsRight(): boolean {
    return this.#clock === null || clockIsRight(this.#clock, this.#clock.allowedMs);
  }

  #tellClock(): void {
    const { clock } = this.state;
    const what = `not listed: this machine's clock is ${clock ? clockWords(clock) : "off"}; set it, by NTP: timedatectl set-ntp true`;
    this.#options.log(what, { ...clock });
  }

  // --- documents from the broker --------------------------------------------------------------------------------------------------------

  async #receive({ grants, filed }: Documents): Promise<void> {
    const byLease = new Map<LeaseRunner, Filed[]>();
    const toTake = (runner: LeaseRunner | undefined, each: Filed): void => {
      if (runner) byLease.set(runner, [...(byLease.get(runner) ?? []), each]);
    };
    for (const { envelope, at } of filed) {
      const parsed = parseDocument(this.#options.crypto, envelope);
      if (!parsed.ok) continue;
      const { kind, payload } = parsed.document;
      if (kind === "purchase-order") await this.#receivePurchaseOrder(envelope, grants);
      // when no broker heard concerns every lease
      else if (kind === "gap") for (const runner of this.#runners.values()) toTake(runner, { envelope, at });
      else if ("lease" in payload) toTake(this.#runners.get(payload.lease), { envelope, at });
    }
    // a guest may take its time: nothing else waits for it
    for (const [runner, each] of byLease) this.#apart(runner.record.lease, runner.take({ grants, filed: each }));
  }

  async #receivePurchaseOrder(envelope: Envelope, grants: readonly Envelope[]): Promise<void> {
    const checked = checkPurchaseOrder(factWorld(this.#world, grants), envelope);
    if (!checked.ok) return this.#options.log("a purchase order was refused", { why: checked.why });
    const { id } = checked.po;
    if (!this.#runners.has(id)) await this.#early.during(id, this.#decide(checked, envelope, grants), (pipe) => this.#attach(id, pipe));
  }

  /** Whether this server takes what was found rightly bound. */
  async #decide({ po, order, offer }: RightOrder, envelope: Envelope, grants: readonly Envelope[]): Promise<void> {
    const { crypto, signer, owner, timers, journal, log } = this.#options;
    const full = await this.#roomProblem(po.payload.customer);
    if (this.#runners.has(po.id)) return; // told again meanwhile
    const admission = {
      ...{ server: this.id, serverKey: signer.publicKey, owner, now: timers.now(), clock: this.#clock, drivers: this.#world.drivers },
      ...{ isBinding: this.#offer.own.binds(offer.payload, timers.now()), isOwnOffer: this.#offer.own.isOwn(offer.payload.sequence) },
      ...this.#admission,
    };
    const bound = { po: po.payload, order: order.payload };
    const why = admissionProblem(admission, bound) ?? (full?.isCustomers === false ? full.why : null);
    if (why !== null) return log("a purchase order was refused", { lease: po.id, why });
    const { origin, issuedAt } = po.payload;
    const acceptance = signDocument(crypto, signer, "acceptance", { origin, seen: this.#offer.seen, lease: po.id, server: this.id });
    // a server that lost its disk must not say twice under one number what it does not remember
    const incarnation = Math.floor(timers.now() / 1_000);
    const runner = new LeaseRunner(
      this.#world,
      newRecord({ lease: po.id, grants: [...grants], facts: [{ envelope, at: issuedAt }], acceptance: acceptance.envelope, incarnation }),
    );
    const tooMuch = askedTooMuch(admission, bound) ?? full?.why ?? null;
    if (tooMuch !== null) runner.turnAway(tooMuch);
    this.#runners.set(po.id, runner);
    try {
      await journal.save(runner.record);
    } catch (error) {
      // nothing was promised yet, and a full disk may have room again in time
      this.#runners.delete(po.id);
      if (this.#stopped || timers.now() + TAKEN_AGAIN_MS >= po.payload.acceptBy) throw error;
      timers.after(TAKEN_AGAIN_MS, () => {
        if (!this.#stopped) this.#apart(po.id, this.#receivePurchaseOrder(envelope, grants));
      });
      return log("a lease cannot be kept here now", { lease: po.id, error: String(error) });
    }
    this.#run(runner);
  }

  /** What this server gives now, and what is taken of it. */
  get #admission(): Pick<Admission, "isListed" | "listing" | "placed"> {
    const isListed = !this.#draining && this.#options.listed();
    return { listing: this.#given.listing, isListed, placed: placedBy(this.#runners.values()) };
  }

  async #roomProblem(customer: string): Promise<RoomProblem | null> {
    const all = await Promise.all([...this.#runners.values()].map((runner) => runner.kept()));
    const inputs = await this.#options.journal.keptInputs(customer);
    return roomProblem(this.#given.room, [...all.flatMap((kept) => kept ?? []), ...inputs], customer);
  }

  #attach(lease: string, pipe: Pipe): void {
    const runner = this.#runners.get(lease);
    if (runner) runner.attach(pipe);
    else if (!this.#early.waits(lease, pipe)) pipe.close();
  }

  // --- the owner's commands -------------------------------------------------------------------------------------------------------------

  /** The owner gives something else from now on: the offer says so, and leases that are accepted later are held to it. */
  async change(given: Pick<ServerOptions, "listing" | "room">): Promise<void> {
    this.#given = given;
    await this.#whileThere(this.#offer.renew());
  }

  /** Takes leases again. */
  async undrain(): Promise<void> {
    this.#draining = false;
    await this.#whileThere(this.#offer.list());
  }

  /** Takes no new leases; resolves when the running ones are done. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#whileThere(this.#offer.list());
    await this.whenIdle();
  }

  whenIdle(): Promise<void> {
    return this.#until((runner) => runner.stage().is === "over");
  }

  async #until(isSo: (runner: LeaseRunner) => boolean): Promise<void> {
    while (![...this.#runners.values()].every(isSo)) await this.#pause();
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#options.timers.after(IDLE_CHECK_MS, resolve));
  }

  /** Waits for what the broker is told while it is there. Where it is away it hears of it later; the owner's wish holds already. */
  async #whileThere(telling: Promise<unknown>): Promise<void> {
    let isTold = false;
    this.#apart(
      null,
      telling.finally(() => (isTold = true)),
    );
    while (!isTold && this.#link.up) await this.#pause();
  }

  /** Ends every lease now, at the owner's cost. What the broker could not hear, the next daemon tells it from the journal. */
  async stopNow(): Promise<void> {
    this.#draining = true;
    await this.#whileThere(this.#offer.list());
    await this.#whileThere(Promise.all([...this.#runners.values()].map((runner) => runner.stop("owner-stop"))));
    await this.#until((runner) => runner.stage().is === "over" || !(this.#link.up || runner.holdsCapacity));
  }

  /** The daemon goes away and leaves its guests running. */
  async close(): Promise<void> {
    this.#stopped = true;
    this.#offer.stop();
    for (const runner of this.#runners.values()) runner.release();
    this.#link.stop();
    await Promise.all(this.#options.drivers.map((driver) => driver.close()));
  }
}
