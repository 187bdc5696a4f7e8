/** A XenoServer of the fake market, with what its tests look at. */
import { nodeCrypto } from "@xenoservers/protocol/node";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import type { GuestDriver } from "../drivers/driver.ts";
import { createSimDriver, type SimDriver } from "../drivers/sim/sim-driver.ts";
import { createMemoryJournal } from "../lease/journal-memory.ts";
import type { LeaseRecord } from "../lease/journal.ts";
import type { RoomRules } from "../lease/kept-room.ts";
import type { Listing } from "../listing.ts";
import { XenoServer, type ServerOptions } from "../server.ts";
import type { FakeMarket } from "./fake-market.ts";

export const LISTING: Listing = {
  resources: { vcpu: 2, memoryMib: 1024, diskMib: 64 },
  price: { vcpuNanosPerSecond: 1000n, memoryGibNanosPerSecond: 0n, diskGibNanosPerSecond: 0n, gigaFuelNanos: 600n, egressGibNanos: 0n },
  ...{ labels: { region: "eu" }, maxLeaseMs: 3_600_000, cpuScore: 1, allowedParties: [], allowWeakSandbox: false },
  ...{ egress: "none", fetches: false, memoryDiskMib: 4_096, feeBasisPointsMax: null },
};

export const ROOM: RoomRules = {
  ...{ keptBytesMax: 1e9, keptBytesOfOneMax: 1e9, leftFreeBytes: 0 },
  ...{ freeBytes: async () => 1e9, letGoOfCaches: async () => {} },
};

/** In place of a seal, and read as one: ciphers take their time by another clock than the test's. */
async function* unsealed(...[, , , bytes]: Parameters<ServerOptions["encrypt"] & object>): AsyncGenerator<Uint8Array> {
  for await (const _ of bytes);
  yield new Uint8Array(64);
}

export interface LogLine {
  what: string;
  facts: Record<string, unknown>;
}

export class TestServer {
  readonly market: FakeMarket;
  readonly journal = createMemoryJournal();
  readonly sim: SimDriver;
  readonly log: LogLine[] = [];
  readonly #options: Partial<ServerOptions>;
  server: XenoServer;

  constructor(market: FakeMarket, options: Partial<ServerOptions> = {}, wrap: (driver: GuestDriver) => GuestDriver = (driver) => driver) {
    this.market = market;
    this.sim = createSimDriver(market.timers);
    this.#options = { drivers: [wrap(this.sim)], ...options };
    this.server = this.#make();
  }

  #make(): XenoServer {
    const { market, journal } = this;
    return new XenoServer({
      ...{ crypto: nodeCrypto, signer: market.serverSigner, owner: market.owner.party, timers: market.timers, journal, drivers: [] },
      channelKey: channelKeyPair(new Uint8Array(32).fill(9)),
      pins: () => market.pins,
      retainMs: 3_600_000,
      room: ROOM,
      log: (what, facts) => void this.log.push({ what, facts }),
      connect: market.connect,
      listing: LISTING,
      listed: () => true,
      market: market.market,
      logged: (lease, after) => market.logged(lease, after),
      sealPart: market.sealPart,
      sealed: market.sealedWhole,
      encrypt: unsealed,
      ...this.#options,
    });
  }

  /** The daemon goes away, and another comes. */
  async restart(): Promise<void> {
    await this.server.close();
    this.server = this.#make();
    await this.server.start();
  }

  stage(lease: string): string | undefined {
    return this.server.state.leases.find((each) => each.lease === lease)?.stage;
  }

  async record(lease: string): Promise<LeaseRecord | undefined> {
    return (await this.journal.load()).find((record) => record.lease === lease);
  }

  said(what: string): Record<string, unknown>[] {
    return this.log.filter((line) => line.what === what).map(({ facts }) => facts);
  }
}
