/** A listed server of a party's own, of which there is nothing but its key and its offer. */
import { randomBytes } from "node:crypto";
import { DEFAULT_TIMINGS, ROLE_SCOPES } from "@xenoservers/market";
import { serverIdOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { MarketClient, identityOf } from "@xenoservers/sdk";

const FREE = { vcpuNanosPerSecond: "0", memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0", gigaFuelNanos: "0", egressGibNanos: "0" };
const VCPUS = 20;
const CHANNEL_KEY = "ab".repeat(32);
const VALID_MS = 3_600_000;

export interface OwnServer {
  id: string;
  /** What logs in with the server's key. */
  machine: MarketClient;
}

/** It costs nothing, and is there for these parties only. */
export async function ownServer(of: MarketClient, allowedParties: string[]): Promise<OwnServer> {
  const { party } = of.identity;
  const machine = new MarketClient(of.url, of.pins, identityOf(randomBytes(32), { party, scopes: ROLE_SCOPES.server }));
  const key = machine.identity.signer.publicKey;
  const nobodys = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null };
  await of.act("key-grant", { party, key, role: "server", label: "own", scopes: [...ROLE_SCOPES.server], ...nobodys });
  const id = serverIdOf(nodeCrypto, key);
  const { timings, feeBasisPoints: feeBasisPointsMax } = await machine.market();
  await machine.act("offer", {
    ...{ owner: party, server: id, sequence: 1, validUntil: machine.brokerNow() + VALID_MS, price: FREE, drivers: ["wasm"] },
    ...{ resources: { vcpu: VCPUS, memoryMib: 65_536, diskMib: 65_536 }, assurances: ["isolated"], labels: {}, maxLeaseMs: 3_600_000 },
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
    ...{ allowedParties, engine: "e", feeBasisPointsMax, timings: timings ?? DEFAULT_TIMINGS, channelKey: CHANNEL_KEY },
  });
  return { id, machine };
}

/** A lease of it, which costs nothing either. */
export async function leaseOn(of: MarketClient, server: string): Promise<string> {
  const { party, account } = of.identity;
  const { timings, feeBasisPoints: feeBasisPointsMax } = await of.market();
  const answer = await of.act("order", {
    ...{
      party,
      account,
      batch: null,
      clientId: of.newId(),
      jobHash: CHANNEL_KEY,
      segment: false,
      judges: null,
      driver: "wasm",
      accel: "any",
    },
    ...{ egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 64, diskMib: 1 }, assurance: "isolated", terms: "by-interval" },
    ...{ conditions: [{ key: "server", op: "=", value: server }], on: "market", maxPriceNanosPerHour: null, durationMsMax: 60_000 },
    ...{ fuelMax: "1000000000000", budgetNanos: "0", replicas: 1, expiresAt: of.brokerNow() + 60_000, label: "", feeBasisPointsMax },
    ...{ timings, channelKey: CHANNEL_KEY, auditSalt: CHANNEL_KEY },
  });
  return String(answer["lease"]);
}
