/**
 * The xenoserver: keeps its offer listed, checks every purchase order for itself, and runs one LeaseRunner per lease.
 * Who controls the inputs: the broker (documents, events). A purchase order counts only when it embeds an offer that this server signed.
 */
import { ASSURANCES, RESOURCE_KEYS, fitsWithin, type PriceVector, type Resources } from "@xenoservers/market";
import { parseDocument, serverIdOf, signDocument, toHex, type Envelope, type Payload } from "@xenoservers/protocol";
import { LinkClient, type LinkOptions, type MarketInfo, type Pipe } from "@xenoservers/protocol/link";
import { checkPurchaseOrder } from "@xenoservers/verify";
import { LeaseRunner } from "./lease/lease-runner.ts";
import type { RunnerWorld } from "./lease/runner-world.ts";

export interface Listing {
  resources: Resources;
  price: PriceVector;
  labels: Record<string, string>;
  maxLeaseMs: number;
  cpuScore: number;
  allowedParties: string[];
  /** What guests may reach, at most. */
  egress: "none" | "names" | "public";
  /** Whether it fetches images from public addresses. */
  fetches: boolean;
  /** Disk that lies in memory: WebAssembly jobs' files. */
  memoryDiskMib: number;
  /** Strangers' jobs also where the sandbox is weak. */
  allowWeakSandbox: boolean;
}

export interface ServerOptions extends Omit<RunnerWorld, "submit" | "over" | "server"> {
  owner: string;
  connect: LinkOptions["connect"];
  listing: Listing;
  /** Whether the owner wants the machine listed now. */
  listed(): boolean;
  onRefused?(why: string): void;
  onState?(): void;
}

const OFFER_VALID_MS = 15 * 60_000;
const OFFER_RENEW_MS = 5 * 60_000;

export class XenoServer {
  readonly id: string;
  readonly #options: ServerOptions;
  readonly #world: RunnerWorld;
  readonly #link: LinkClient;
  readonly #runners = new Map<string, LeaseRunner>();
  /** Offers a purchase order may embed: the current one and the one before it. */
  #offers: string[] = [];
  #cancelRenewal: () => void = () => {};
  #draining = false;
  #stopped = false;

  constructor(options: ServerOptions) {
    this.#options = options;
    this.id = serverIdOf(options.crypto, options.signer.publicKey);
    this.#link = new LinkClient({
      connect: options.connect,
      timers: options.timers,
      crypto: options.crypto,
      login: (challenge, market) => this.#login(challenge, market),
      onUp: (live) => this.#apart(null, this.#onUp(live)),
      onDown: () => options.onState?.(),
      onDocuments: (documents) => this.#apart(null, this.#receive(documents)),
      onChannel: (lease, pipe) => this.#attach(lease, pipe),
      onRefused: (refusal) => options.onRefused?.(`${refusal.code} ${JSON.stringify(refusal.facts)}`),
    });
    this.#world = {
      ...options,
      server: this.id,
      submit: (envelope) => this.#link.submit(envelope),
      over: (lease) => {
        this.#runners.delete(lease);
        options.onState?.();
      },
    };
  }

  #login(challenge: string, market: MarketInfo): Envelope {
    const pins = this.#options.pins();
    if (market.origin !== pins.origin || market.keys.purchaseOrders !== pins.keys.purchaseOrders)
      throw new Error("the broker is not the one this server was enrolled with");
    return signDocument(this.#options.crypto, this.#options.signer, "login", { origin: pins.origin, seen: null, party: this.#options.owner, challenge })
      .envelope;
  }

  /** Signs the offer anew: something of it has changed. */
  async relist(): Promise<void> {
    if (this.#link.up) await this.#renew();
  }

  /** Takes up the leases of an earlier daemon, then connects. */
  async start(): Promise<void> {
    for (const record of await this.#options.journal.load()) await this.#run(new LeaseRunner(this.#world, record));
    this.#link.start();
  }

  get state() {
    return {
      server: this.id,
      connected: this.#link.up,
      draining: this.#draining,
      leases: [...this.#runners.values()].map((runner) => ({
        lease: runner.record.lease,
        stage: runner.record.stage,
        usedMs: runner.usedMs,
        resources: runner.resources,
      })),
    };
  }

  async #run(runner: LeaseRunner): Promise<void> {
    this.#runners.set(runner.record.lease, runner);
    this.#options.onState?.();
    this.#apart(runner.record.lease, runner.start());
  }

  /** Work that nobody waits for: what goes wrong in it is told to the owner, and the daemon lives on. */
  #apart(lease: string | null, work: Promise<unknown> | undefined): void {
    work?.catch((error: unknown) =>
      this.#options.log(lease ? "a lease failed" : "the daemon failed", { lease, error: String((error as Error).stack ?? error) }),
    );
  }

  async #onUp(live: Envelope[]): Promise<void> {
    this.#options.onState?.();
    await this.#renew();
    await this.#receive(live);
  }

  // --- offers ---------------------------------------------------------------------------------------------------------------------------

  async #renew(): Promise<void> {
    this.#cancelRenewal();
    if (this.#stopped) return;
    this.#cancelRenewal = this.#options.timers.after(OFFER_RENEW_MS, () => this.#apart(null, this.#renew()));
    const { crypto, signer, listing, owner, journal, driver, vms } = this.#options;
    const sequence = await journal.nextOfferSequence();
    const { origin } = this.#options.pins();
    if (this.#draining || !this.#options.listed()) {
      await this.#link.submit(signDocument(crypto, signer, "offer-withdrawal", { origin, seen: null, owner, server: this.id, sequence }).envelope);
      return;
    }
    const price = {
      vcpuNanosPerSecond: String(listing.price.vcpuNanosPerSecond),
      memoryGibNanosPerSecond: String(listing.price.memoryGibNanosPerSecond),
      diskGibNanosPerSecond: String(listing.price.diskGibNanosPerSecond),
      gigaFuelNanos: String(listing.price.gigaFuelNanos),
      egressGibNanos: String(listing.price.egressGibNanos),
    };
    const offer = signDocument(crypto, signer, "offer", {
      origin,
      seen: null,
      owner,
      server: this.id,
      sequence,
      validUntil: this.#options.timers.now() + OFFER_VALID_MS,
      resources: listing.resources,
      drivers: vms ? ["wasm", "qemu"] : ["wasm"],
      assurances: ASSURANCES.filter((assurance) => assurance !== "deterministic-vm" || vms !== null),
      labels: listing.labels,
      price,
      maxLeaseMs: listing.maxLeaseMs,
      cpuScore: listing.cpuScore,
      sandbox: driver.sandbox.strength,
      accel: vms?.accel ?? "none",
      vmScore: vms?.score ?? 0,
      limits: vms?.limits ?? "process",
      vmEngine: vms?.engine ?? "",
      egress: vms ? listing.egress : "none",
      fetches: vms !== null && listing.fetches,
      allowedParties: listing.allowedParties,
      engine: driver.engine,
      channelKey: toHex(this.#options.channelKey.publicKey),
    });
    this.#offers = [offer.id, ...this.#offers].slice(0, 2);
    const answer = await this.#link.submit(offer.envelope);
    if (!answer.ok) this.#options.log("the offer was refused", { code: answer.code, ...answer.facts });
    else this.#options.log("listed", { sequence });
  }

  // --- documents from the broker --------------------------------------------------------------------------------------------------------

  async #receive(documents: Envelope[]): Promise<void> {
    for (const envelope of documents) {
      const parsed = parseDocument(this.#options.crypto, envelope);
      if (!parsed.ok) continue;
      const { document } = parsed;
      const { keys } = this.#options.pins();
      switch (document.kind) {
        case "purchase-order":
          await this.#receivePurchaseOrder(envelope);
          break;
        case "stop":
          // a guest may take its time: nothing else waits for it
          this.#apart(
            document.payload.lease,
            this.#runners.get(document.payload.lease)?.stop(document.payload.party === this.#options.owner ? "owner-stop" : "customer-stop"),
          );
          break;
        case "reveal":
          if (document.keyid === keys.purchaseOrders) await this.#runners.get(document.payload.lease)?.reveal();
          break;
        case "trace-request":
          this.#apart(document.payload.lease, this.#runners.get(document.payload.lease)?.trace(document));
          break;
        case "amendment":
          if (document.keyid === keys.purchaseOrders) await this.#runners.get(document.payload.lease)?.extend(document.payload.durationMsMax);
          break;
        case "closing":
          if (document.keyid === keys.receipts) await this.#runners.get(document.payload.lease)?.closedByBroker();
          break;
        default:
      }
    }
  }

  /** Why this purchase order is not accepted, in words; null when it may be. */
  #refusalOf(po: Payload<"purchase-order">, order: Payload<"order">): string | null {
    const { listing, timers, driver, vms, owner } = this.#options;
    if (po.server !== this.id || po.serverKey !== this.#options.signer.publicKey) return "it is for another server";
    if (!this.#offers.includes(po.offerId)) return "it embeds an offer that is not current";
    if (this.#draining || !this.#options.listed()) return "the server is draining";
    if (po.acceptBy <= timers.now()) return "it came after its acceptBy";
    if (driver.sandbox.strength === "weak" && po.customer !== owner && !listing.allowWeakSandbox) return "the sandbox is too weak for strangers";
    if (order.driver === "qemu" && vms === null) return "no virtual machine can run here";
    const free = { ...listing.resources };
    let memoryDisk = listing.memoryDiskMib;
    for (const runner of this.#runners.values()) {
      if (!runner.holdsCapacity) continue;
      for (const key of RESOURCE_KEYS) free[key] -= runner.resources[key];
      if (!runner.isVm) memoryDisk -= runner.resources.diskMib;
    }
    if (order.driver === "wasm" && po.resources.diskMib > memoryDisk) return "the memory for files is taken";
    return fitsWithin(po.resources, free) ? null : "the capacity is taken";
  }

  async #receivePurchaseOrder(envelope: Envelope): Promise<void> {
    const checked = checkPurchaseOrder(this.#options.crypto, this.#options.pins(), envelope);
    if (!checked.ok) return this.#options.log("a purchase order was refused", { why: checked.why });
    const { po } = checked;
    if (this.#runners.has(po.id)) return;
    const why = this.#refusalOf(po.payload, checked.order.payload);
    if (why !== null) return this.#options.log("a purchase order was refused", { lease: po.id, why });
    const acceptance = signDocument(this.#options.crypto, this.#options.signer, "acceptance", {
      origin: po.payload.origin,
      seen: null,
      lease: po.id,
      server: this.id,
    });
    const runner = new LeaseRunner(this.#world, {
      lease: po.id,
      stage: "accepting",
      po: envelope,
      acceptance: acceptance.envelope,
      openingId: null,
      openedAt: null,
      durationMsMax: po.payload.durationMsMax,
      // a server that lost its disk must not say twice under one number what it does not remember
      incarnation: Math.floor(this.#options.timers.now() / 1_000),
      lastClaim: null,
      pendingClaim: null,
      job: null,
      vm: null,
      pausedByCustomer: false,
      guest: null,
      stop: null,
      result: null,
      overAt: null,
      commitment: null,
      revealed: false,
      trace: null,
    });
    this.#runners.set(po.id, runner);
    await this.#options.journal.save(runner.record);
    await this.#run(runner);
  }

  #attach(lease: string, pipe: Pipe): void {
    const runner = this.#runners.get(lease);
    if (runner) runner.attach(pipe);
    else pipe.close();
  }

  // --- the owner's commands -------------------------------------------------------------------------------------------------------------

  /** Takes no new leases; resolves when the running ones are done. */
  async drain(): Promise<void> {
    this.#draining = true;
    await this.#renew();
    await this.whenIdle();
  }

  async whenIdle(): Promise<void> {
    while ([...this.#runners.values()].some((runner) => runner.record.stage !== "over"))
      await new Promise<void>((resolve) => this.#options.timers.after(100, resolve));
  }

  /** Ends every lease now, at the owner's cost. */
  async stopNow(): Promise<void> {
    this.#draining = true;
    await this.#renew();
    await Promise.all([...this.#runners.values()].map((runner) => runner.stop("owner-stop")));
    await this.whenIdle();
  }

  /** The daemon goes away and leaves its guests running. */
  async close(): Promise<void> {
    this.#stopped = true;
    this.#cancelRenewal();
    for (const runner of this.#runners.values()) runner.release();
    this.#link.stop();
    await this.#options.driver.close();
  }
}
