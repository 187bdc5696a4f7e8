/** A simulated owner's server: the production daemon's heart on a driver whose guests exist on the simulated clock only. */
import { ROLE_SCOPES } from "@xenoservers/market";
import type { Network, Random, SimClock } from "@xenoservers/testkit";
import { refuse, serverIdOf, type Crypto } from "@xenoservers/protocol";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import type { Pipe } from "@xenoservers/protocol/link";
import { createSigner } from "@xenoservers/protocol/node";
import type { Identity } from "@xenoservers/sdk";
import { XenoServer, cheatingDriver, type Cheat } from "@xenoservers/xenoserver";
import { createMemoryJournal } from "@xenoservers/xenoserver/journal-memory";
import { createSimDriver, type SimDriver } from "@xenoservers/xenoserver/sim";
import { describeMarket } from "@xenoservers/xenocorp/parts";
import type { SimBroker } from "./broker.ts";

export const STAKE = 100_000_000n;

export interface SimServer {
  host: string;
  id: string;
  owner: Identity;
  key: string;
  driver: SimDriver;
  start(): void;
  stop(): void;
}

export interface SimServerOptions {
  broker: SimBroker;
  clock: SimClock;
  network: Network;
  random: Random;
  crypto: Crypto;
  cheat: Cheat | null;
  /** What lies between its daemon and the network; nothing, where it is absent. */
  between?(pipe: Pipe): Pipe;
  trace(line: string): void;
}

const listingOf = (i: number) => ({
  resources: { vcpu: 2, memoryMib: 2048, diskMib: 2048 },
  price: {
    vcpuNanosPerSecond: 1000n * BigInt(i + 1),
    memoryGibNanosPerSecond: 10n,
    diskGibNanosPerSecond: 1n,
    gigaFuelNanos: 600n * BigInt(i + 1),
    egressGibNanos: 0n,
  },
  ...{ labels: {}, maxLeaseMs: 3_600_000, cpuScore: 100, allowedParties: [], allowWeakSandbox: false, memoryDiskMib: 4_096 },
  ...{ egress: "none" as const, fetches: false, feeBasisPointsMax: null },
});

/** What a real seal would be, without its cost: the simulation looks at who has what, not at ciphers. */
async function* unsealed(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(64);
}

export async function addServer(i: number, options: SimServerOptions): Promise<SimServer> {
  const { broker, clock, network, random, crypto, cheat, trace, between = (pipe) => pipe } = options;
  const owner = await broker.party(`owner ${i}`, STAKE);
  const stake = { party: owner.party, amountNanos: STAKE.toString(), direction: "deposit", clientId: broker.clientId() } as const;
  await broker.must(owner.signer, "stake", stake);
  const signer = createSigner(random.bytes(32));
  await broker.must(owner.signer, "key-grant", {
    ...{ party: owner.party, key: signer.publicKey, role: "server", label: "m", scopes: [...ROLE_SCOPES.server], account: null },
    ...{ leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null },
  });
  const host = `server ${i}`;
  const driver = createSimDriver(clock);
  const journal = createMemoryJournal();
  const channelKey = channelKeyPair(random.bytes(32));
  let running: XenoServer | null = null;
  const start = (): void => {
    if (running) return; // one daemon, however many faults overlap
    running = new XenoServer({
      ...{ crypto, signer, channelKey, timers: clock, journal, owner: owner.party, retainMs: 3_600_000, listing: listingOf(i) },
      pins: () => broker.pins,
      room: { keptBytesMax: 1e9, keptBytesOfOneMax: 1e9, leftFreeBytes: 0, freeBytes: async () => 1e9, letGoOfCaches: async () => {} },
      drivers: [cheat ? cheatingDriver(cheat, driver) : driver],
      log: (what, facts) => trace(`${host}: ${what} ${JSON.stringify(facts).slice(0, 160)}`),
      connect: async () => between(await network.connect(host)),
      listed: () => true,
      market: async () => broker.services && describeMarket(broker.services),
      encrypt: unsealed,
      sealPart: async () => ({ ok: true, answer: {} }),
      async sealed(lease) {
        const { desk } = broker;
        await new Promise<void>((resolve) => clock.after(random.between(1, 200), resolve));
        return desk === broker.desk && desk ? desk.sealed(lease, "00".repeat(32)) : refuse("unavailable");
      },
      async logged(lease, after) {
        const { reads, store } = broker;
        const key = (await store.load("key", [signer.publicKey])).get(signer.publicKey)?.data;
        if (!reads || !key) return null;
        const session = { by: "party" as const, party: owner.party, key };
        const answer = await reads.leaseLog({
          session,
          params: { id: lease },
          query: { limit: 50, ...(after === null ? {} : { after }) },
          body: undefined,
        });
        return answer.ok ? answer.reply : null;
      },
    });
    void running.start();
  };
  return {
    ...{ host, owner, driver, start, key: signer.publicKey, id: serverIdOf(crypto, signer.publicKey) },
    stop() {
      void running?.close();
      running = null;
    },
  };
}
