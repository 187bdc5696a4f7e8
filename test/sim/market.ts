/** One simulated market: production desk, hub, runner and session on a seeded clock, rng and network; the auditor after every commit. */
import { auditQuiet, Network, Random, SimClock } from "@xenoservers/testkit";
import { canonicalBytes, rootAccountOf, toHex, type Crypto } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Change, LeaseRow } from "@xenoservers/xenocorp/parts";
import { CHEATS } from "@xenoservers/xenoserver";
import { SimBroker } from "./broker.ts";
import { SimCustomer } from "./customer.ts";
import { DAEMON_DOWN_MS_MAX, plan } from "./faults.ts";
import { STAKE, addServer, type SimServer } from "./server.ts";

export interface SimOptions {
  seed: number;
  /** Changes every change before it is committed: how the canary breaks the market. */
  sabotage?: (change: Change) => void;
  trace?: (line: string) => void;
}

export interface SimResult {
  /** What the auditor found; null when nothing. */
  problem: string | null;
  leases: LeaseRow[];
  digest: string;
  /** How many results were convicted, and of which the cheating owner was the author. */
  convicted: number;
}

const START = 1_800_000_000_000;
/** The longest dispute over the longest job that is doubted is over by then, brokers' outages included. */
const END_MS = 1_500_000;
/** What was objected to and never brought before the referee is the operator's to decide. */
const RULE_MS = END_MS - 120_000;

/** What a simulated guest can be made to lie about. */
const SIM_CHEATS = [
  "wrong-output",
  "inflated-fuel",
  "inflated-fuel-at-once",
  "truncated-run",
  "invented-result",
  "withhold-bytes",
  "blame-customer",
] as const;
const SERVERS = 3;
const CUSTOMERS = 2;
/** The operator's own machine is the market's referee; the second owner cheats in two seeds of three. */
const REFEREE = 2;
const CHEAT = 1;

/** Signatures are checked once per distinct message: the simulation sees the same ones many times. */
function cachedCrypto(random: Random): Crypto {
  const seen = new Map<string, boolean>();
  return {
    ...nodeCrypto,
    randomBytes: (length) => random.bytes(length),
    verify(key, message, signature) {
      const id = toHex(signature) + key.slice(0, 16) + toHex(nodeCrypto.sha256(message)).slice(0, 32);
      const known = seen.get(id) ?? nodeCrypto.verify(key, message, signature);
      seen.set(id, known);
      return known;
    },
  };
}

/** Until the market has a broker that takes it. */
function nameReferee(broker: SimBroker, clock: SimClock, server: string): void {
  const answer = broker.act(broker.operator, "referee", { server, active: true, clientId: broker.clientId() });
  void answer.then(({ ok }) => ok || clock.after(1_000, () => nameReferee(broker, clock, server)));
}

async function ruleAll(broker: SimBroker): Promise<void> {
  const { leases } = await broker.snapshot();
  for (const { id, state, trace, end } of leases)
    if (state === "disputed" && !trace && end)
      await broker.act(broker.operator, "ruling", { lease: id, ownerNanos: end.ownerNanos, reason: "nobody followed up" });
}

/**
 * PROTOCOL section 10, by interval: unpaid work is at most I + G (and the margin before the broker gives up), and the time that the owner's own
 * daemon was down, during which its guest ran on unclaimed; unless the owner's side failed.
 */
function ownersLoss({ config }: SimBroker, leases: readonly LeaseRow[], servers: readonly SimServer[]): string | null {
  const most = config.timings.claimIntervalMs + config.timings.graceMs * 1.1 + 2_000 + DAEMON_DOWN_MS_MAX;
  for (const lease of leases) {
    const ran = servers.map(({ driver }) => driver.ran.get(lease.id)).find((ms) => ms !== undefined) ?? 0;
    if (lease.terms !== "by-interval" || !lease.end || ["server-failed", "owner-stop"].includes(lease.end.reason)) continue;
    const lossMs = Math.min(ran, lease.durationMsMax) - lease.end.billableMs;
    if (lossMs > most)
      return `the owner of lease ${lease.id.slice(0, 12)} (${lease.end.reason}) worked ${ran} ms and was paid for ${lease.end.billableMs}`;
  }
  return null;
}

export async function simulate({ seed, sabotage, trace = () => {} }: SimOptions): Promise<SimResult> {
  const random = new Random(seed);
  const clock = new SimClock(START, new Random(seed ^ 0x5eed));
  const network = new Network(clock, random);
  network.faults = { doubled: 0.02, overtaken: 0.05 };
  const crypto = cachedCrypto(random);
  const told = (line: string): void => trace(`${clock.now() - START} ${line}`);
  const broker = new SimBroker({ seed, random, clock, network, crypto, ...(sabotage ? { sabotage } : {}) });
  await broker.start();
  await broker.must(broker.operator, "fee", { basisPoints: 500, effectiveAt: clock.now(), clientId: broker.clientId() });

  const cheat = seed % 3 !== 0 ? (CHEATS[random.pick(SIM_CHEATS)] ?? null) : null;
  const servers: SimServer[] = [];
  for (let i = 0; i < SERVERS; i++)
    servers.push(await addServer(i, { broker, clock, network, random, crypto, cheat: i === CHEAT ? cheat : null, trace: told }));
  for (const server of servers) server.start();
  const referee = servers[REFEREE];
  if (referee) clock.after(3_000, () => nameReferee(broker, clock, referee.id));
  const serverIds = servers.filter((_, i) => i !== REFEREE).map(({ id }) => id);

  const customers: SimCustomer[] = [];
  for (let i = 0; i < CUSTOMERS; i++)
    customers.push(await SimCustomer.join(i, { broker, clock, network, random, crypto, serverIds, trace: told }));
  plan({ broker, clock, network, random, servers, customers, trace: told });
  clock.after(RULE_MS, () => void ruleAll(broker));

  await clock.runUntil(START + END_MS, () => broker.problem !== null);
  for (const { sessions } of customers) for (const session of sessions) session.close();
  return concluded(broker, servers, cheat !== null);
}

async function concluded(broker: SimBroker, servers: readonly SimServer[], cheated: boolean): Promise<SimResult> {
  const last = await broker.snapshot();
  const parties = await broker.store.load(
    "party",
    servers.map(({ owner }) => owner.party),
  );
  const convictions = servers.map(({ owner }) => parties.get(owner.party)?.data.record.convicted ?? 0);
  const stakes = servers.map(({ owner }) => last.balances.get(`${rootAccountOf(owner.party)}/staked`) ?? 0n);
  const isHonest = (i: number): boolean => i !== CHEAT || !cheated;
  const wronged = servers.findIndex((_, i) => isHonest(i) && ((convictions[i] ?? 0) > 0 || stakes[i] !== STAKE));
  const problem =
    broker.problem ??
    auditQuiet(last) ??
    ownersLoss(broker, last.leases, servers) ??
    (wronged < 0 ? null : `owner ${wronged}, who is honest, was convicted or lost stake`);
  const facts = last.leases.map((lease) => [lease.id, lease.state, lease.end?.reason ?? "", lease.end?.dueNanos ?? "", lease.attempt]);
  return { problem, leases: last.leases, digest: toHex(nodeCrypto.sha256(canonicalBytes(facts))), convicted: convictions[CHEAT] ?? 0 };
}
