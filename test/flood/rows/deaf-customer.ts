import { randomBytes } from "node:crypto";
import { DEFAULT_TIMINGS, ROLE_SCOPES } from "@xenoservers/market";
import { serverIdOf } from "@xenoservers/protocol";
import { channelMessage } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { MarketClient, identityOf } from "@xenoservers/sdk";
import { HostileLink, frame } from "../hostile-link.ts";
import { household, many, stranger, type Row } from "../row.ts";

const CHANNELS = 20;
const BYTES = 60_000;
const DIGEST = "ab".repeat(32);
const FREE = { vcpuNanosPerSecond: "0", memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0", gigaFuelNanos: "0", egressGibNanos: "0" };

/** A server of this party that is there for nobody else, and costs nothing. */
async function ownServer(of: MarketClient, url: string): Promise<{ id: string; link: HostileLink }> {
  const { party } = of.identity;
  const seed = randomBytes(32);
  const machine = new MarketClient(url, of.pins, identityOf(seed, { party, scopes: ROLE_SCOPES.server }));
  const key = machine.identity.signer.publicKey;
  const nobodys = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null };
  await of.act("key-grant", { party, key, role: "server", label: "own", scopes: [...ROLE_SCOPES.server], ...nobodys });
  const link = await (await HostileLink.open(url, household(0))).login(machine);
  const id = serverIdOf(nodeCrypto, key);
  const { timings, feeBasisPoints: feeBasisPointsMax } = await machine.market();
  await machine.act("offer", {
    ...{ owner: party, server: id, sequence: 1, validUntil: machine.brokerNow() + 600_000, price: FREE, drivers: ["wasm"] },
    ...{ resources: { vcpu: CHANNELS, memoryMib: 65_536, diskMib: 65_536 }, assurances: ["isolated"], labels: {}, maxLeaseMs: 3_600_000 },
    ...{
      cpuScore: 1,
      sandbox: "strong",
      accel: "none",
      vmScore: 0,
      limits: "process",
      holds: {},
      fetches: false,
      vmEngine: "",
      egress: "none",
    },
    ...{ allowedParties: [party], engine: "e", feeBasisPointsMax, timings: timings ?? DEFAULT_TIMINGS, channelKey: DIGEST },
  });
  return { id, link };
}

async function lease(of: MarketClient, server: string): Promise<string> {
  const { party, account } = of.identity;
  const { timings, feeBasisPoints: feeBasisPointsMax } = await of.market();
  const answer = await of.act("order", {
    ...{ party, account, batch: null, clientId: of.newId(), jobHash: DIGEST, segment: false, judges: null, driver: "wasm", accel: "any" },
    ...{ egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 64, diskMib: 1 }, assurance: "isolated", terms: "by-interval" },
    ...{ conditions: [{ key: "server", op: "=", value: server }], on: "market", maxPriceNanosPerHour: null, durationMsMax: 60_000 },
    ...{ fuelMax: "1000000000000", budgetNanos: "0", replicas: 1, expiresAt: of.brokerNow() + 60_000, label: "", feeBasisPointsMax },
    ...{ timings, channelKey: DIGEST, auditSalt: DIGEST },
  });
  return String(answer["lease"]);
}

export const deafCustomer: Row = {
  says: "a lease with itself at price 0: channel bytes to a socket that does not read",
  async play(url) {
    const one = await stranger(url);
    const server = await ownServer(one, url);
    const deaf = await many(CHANNELS, async () => {
      const link = await (await HostileLink.open(url, household(1))).login(one);
      const session = randomBytes(16).toString("hex");
      link.socket.write(frame({ t: "channel-open", lease: await lease(one, server.id), session }));
      await server.link.hears("channel-open");
      link.deafen();
      return session;
    });
    let turn = 0;
    void server.link.pour(() => frame(channelMessage(deaf[turn++ % deaf.length]!, new Uint8Array(BYTES))));
    return { links: CHANNELS + 1 };
  },
};
