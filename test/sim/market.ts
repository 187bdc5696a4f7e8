/** One simulated market: production desk, hub, runner and session on a seeded clock, rng and network; the auditor after every commit. */
import { audit, auditQuiet, Network, Random, SimClock, type Snapshot } from "@xenoservers/testkit";
import {
  canonicalBytes,
  refuse,
  rootAccountOf,
  signDocument,
  toHex,
  type Crypto,
  type Envelope,
  type Json,
  type Kind,
  type Payload,
  type RouteReply,
  serverIdOf,
} from "@xenoservers/protocol";
import { channelKeyPair } from "@xenoservers/protocol/channel";
import type { LinkAnswer, LinkClient, MarketInfo, Pipe, Timers } from "@xenoservers/protocol/link";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { LeaseSession, MarketClient, RefusedError, buildJob, bytesBlob, checkBound, identityOf, openLink, signOrder, type ReadName } from "@xenoservers/sdk";
import {
  Desk,
  LinkHub,
  MARKET_DEFAULTS,
  OfferIndex,
  PROTOCOL_RANGE,
  Sessions,
  createMemoryStore,
  createReads,
  sequence,
  startEpoch,
  type BrokerKeys,
  type Change,
  type Services,
  type LeaseRow,
  type MarketConfig,
  type Reads,
  type Store,
} from "@xenoservers/xenocorp/parts";
import { CHEATS, XenoServer, cheatingDriver } from "@xenoservers/xenoserver";
import { createMemoryJournal } from "@xenoservers/xenoserver/journal-memory";
import { createSimDriver, type SimDriver } from "@xenoservers/xenoserver/sim";
import { doubt } from "./doubt.ts";

export interface SimOptions {
  seed: number;
  /** Changes every change before it is committed: how the canary breaks the market. */
  sabotage?: (change: Change) => void;
  trace?: (line: string) => void;
}

const START = 1_800_000_000_000;
const FAULTS_MS = 180_000;
/** The longest dispute over the longest job that is doubted is over by then. */
const END_MS = 720_000;
const DAEMON_DOWN_MS_MAX = 20_000;

interface SimServer {
  host: string;
  driver: SimDriver;
  start(): void;
  stop(): void;
}

class SimClient extends MarketClient {
  reads: (() => Reads | null) | null = null;
  viaLink: LinkClient | null = null;
  via: (() => Promise<Pipe>) | null = null;
  override connect(): Promise<Pipe> {
    return this.via!();
  }
  override submit(envelope: Envelope): Promise<LinkAnswer> {
    return this.viaLink!.submit(envelope);
  }
  override async read<N extends ReadName>(name: N, request: object = {}): Promise<RouteReply<N>> {
    const reads = this.reads?.();
    if (!reads) throw new RefusedError(refuse("unavailable"));
    const session = { party: this.identity.party, key: null, operator: false };
    const answer: unknown = await (reads[name] as (request: unknown) => Promise<unknown>)({ session, params: {}, query: {}, ...request });
    if ((answer as { ok?: boolean }).ok === false) throw new RefusedError(answer as never);
    return answer as RouteReply<N>;
  }
}

/** Signatures are checked once per distinct message: the simulation sees the same ones many times. */
function cachedCrypto(random: Random): Crypto {
  const seen = new Map<string, boolean>();
  return {
    ...nodeCrypto,
    randomBytes: (length) => random.bytes(length),
    verify(key, message, signature) {
      const id = toHex(signature) + key.slice(0, 16) + toHex(nodeCrypto.sha256(message)).slice(0, 32);
      let right = seen.get(id);
      if (right === undefined) seen.set(id, (right = nodeCrypto.verify(key, message, signature)));
      return right;
    },
  };
}

export interface SimResult {
  /** What the auditor found; null when nothing. */
  problem: string | null;
  leases: LeaseRow[];
  digest: string;
  /** How many results were convicted, and of which the cheating owner was the author. */
  convicted: number;
}

/** What a simulated guest can be made to lie about. */
const SIM_CHEATS = ["wrong-output", "inflated-fuel", "truncated-run", "invented-result"] as const;
const STAKE = 100_000_000n;
const SERVERS = 3;
/** The operator's own machine is the market's referee; the second owner cheats on every other seed. */
const REFEREE = 2;
const CHEAT = 1;

export async function simulate({ seed, sabotage, trace = () => {} }: SimOptions): Promise<SimResult> {
  const random = new Random(seed);
  const clock = new SimClock(START, new Random(seed ^ 0x5eed));
  const network = new Network(clock, random);
  network.faults = { doubled: 0.02, overtaken: 0.05 };
  const crypto = cachedCrypto(random);
  const memory = createMemoryStore(() => clock.now());
  let problem: string | null = null;
  const leaseIds = new Set<string>();

  async function snapshot(): Promise<Omit<Snapshot, "leases"> & { leases: LeaseRow[] }> {
    const { balances } = await memory.audit();
    return { balances, leases: [...(await memory.load("lease", [...leaseIds])).values()].map(({ data }) => data) };
  }
  const store: Store = {
    ...memory,
    async commit(changes) {
      for (const change of changes) {
        sabotage?.(change);
        for (const put of change.puts) if (put.kind === "lease") leaseIds.add(put.id);
      }
      const results = await memory.commit(changes);
      problem ??= audit(await snapshot());
      return results;
    },
  };

  // --- the broker -----------------------------------------------------------------------------------------------------------------------
  const keys: BrokerKeys = {
    purchaseOrders: createSigner(random.bytes(32)),
    checkpoints: createSigner(random.bytes(32)),
    receipts: createSigner(random.bytes(32)),
    secret: random.bytes(32),
  };
  const operator = createSigner(random.bytes(32));
  const config: MarketConfig = { ...MARKET_DEFAULTS, origin: `sim/${seed}`, operatorKey: operator.publicKey };
  const { timings } = config;
  const pins = {
    origin: config.origin,
    keys: { purchaseOrders: keys.purchaseOrders.publicKey, checkpoints: keys.checkpoints.publicKey, receipts: keys.receipts.publicKey },
  };
  const referees: string[] = [];
  let desk: Desk | null = null;
  let reads: Reads | null = null;
  let incarnation = 0;

  async function startBroker(): Promise<void> {
    const mine = ++incarnation;
    const index = new OfferIndex();
    const services: Services = { store, crypto, keys, config, index, now: () => clock.now() };
    if ((await store.logHead()) === null) await startEpoch(services, null, "simulated");
    await index.refresh(store);
    const sessions = new Sessions(services);
    const market = async (): Promise<MarketInfo> => ({
      ...pins,
      currency: "sim",
      operatorKey: operator.publicKey,
      epoch: 1,
      feeBasisPoints: 500,
      referees,
      witnesses: [],
      mergeDelayMs: config.mergeDelayMs,
      timings,
      protocol: PROTOCOL_RANGE,
      now: clock.now(),
    });
    const ownHub: LinkHub = new LinkHub(() => ownDesk, sessions, market, clock);
    const ownDesk = new Desk(services, { toServer: (to, documents) => ownHub.toServer(to, documents), event: (event) => ownHub.event(event) });
    desk = ownDesk;
    reads = createReads(services, market);
    network.listen((pipe) => ownHub.accept(pipe));
    const timers = async (): Promise<void> => {
      if (mine !== incarnation) return;
      await ownDesk.runTimers();
      await sequence(services);
      clock.after(500, () => void timers());
    };
    void timers();
  }
  function killBroker(): void {
    incarnation++;
    desk = null;
    reads = null;
    network.listen(null);
  }
  await startBroker();

  async function act<K extends Kind>(signer: ReturnType<typeof createSigner>, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<LinkAnswer> {
    const document = signDocument(crypto, signer, kind, { origin: config.origin, seen: null, ...payload } as unknown as Payload<K>);
    return desk!.submit(document.envelope);
  }
  async function must<K extends Kind>(signer: ReturnType<typeof createSigner>, kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<void> {
    const answer = await act(signer, kind, payload);
    if (!answer.ok) throw new Error(`${kind}: ${answer.code} ${JSON.stringify(answer.facts)}`);
  }
  async function party(name: string) {
    const identity = identityOf(random.bytes(32));
    await must(identity.signer, "party", { party: identity.party, name, rootKey: identity.signer.publicKey, recoveryKey: null });
    return identity;
  }
  await must(operator, "fee", { basisPoints: 500, clientId: toHex(random.bytes(16)) });

  // --- servers --------------------------------------------------------------------------------------------------------------------------
  const servers: SimServer[] = [];
  const owners: string[] = [];
  const serverIds: string[] = [];
  let refereeKey: string | null = null;
  const cheat = seed % 2 === 1 ? CHEATS[random.pick(SIM_CHEATS)]! : null;
  for (let i = 0; i < SERVERS; i++) {
    const owner = await party(`owner ${i}`);
    owners.push(owner.party);
    await must(operator, "credit", { party: owner.party, amountNanos: STAKE.toString(), source: "operator", reference: "", clientId: toHex(random.bytes(16)) });
    await must(owner.signer, "stake", { party: owner.party, amountNanos: STAKE.toString(), direction: "deposit", clientId: toHex(random.bytes(16)) });
    const signer = createSigner(random.bytes(32));
    await must(owner.signer, "key-grant", {
      party: owner.party,
      key: signer.publicKey,
      role: "server",
      label: "m",
      account: null,
      maxSpendPerDayNanos: null,
      expiresAt: null,
    });
    if (i === REFEREE) refereeKey = signer.publicKey;
    else serverIds.push(serverIdOf(crypto, signer.publicKey));
    const host = `server ${i}`;
    const journal = createMemoryJournal();
    const driver = createSimDriver(clock);
    const channelKey = channelKeyPair(random.bytes(32));
    let running: XenoServer | null = null;
    servers.push({
      host,
      driver,
      start() {
        const server = new XenoServer({
          crypto,
          signer,
          channelKey,
          pins: () => pins,
          timers: clock,
          journal,
          driver: i === CHEAT && cheat ? cheatingDriver(cheat, driver) : driver,
          vms: null,
          retainMs: 3_600_000,
          log: (what, facts) => trace(`${clock.now() - START} ${host}: ${what} ${JSON.stringify(facts).slice(0, 160)}`),
          owner: owner.party,
          connect: () => network.connect(host),
          listing: {
            resources: { vcpu: 2, memoryMib: 2048, diskMib: 2048 },
            price: {
              vcpuNanosPerSecond: 1000n * BigInt(i + 1),
              memoryGibNanosPerSecond: 10n,
              diskGibNanosPerSecond: 1n,
              gigaFuelNanos: 600n * BigInt(i + 1),
              egressGibNanos: 0n,
            },
            labels: {},
            maxLeaseMs: 3_600_000,
            cpuScore: 100,
            allowedParties: [],
            allowWeakSandbox: false,
            egress: "none",
            fetches: false,
            memoryDiskMib: 4_096,
          },
          listed: () => true,
        });
        running = server;
        void server.start();
      },
      stop() {
        void running?.close();
        running = null;
      },
    });
  }
  for (const server of servers) server.start();
  clock.after(3_000, () => void nameReferee());
  async function nameReferee(): Promise<void> {
    const server = serverIdOf(crypto, refereeKey!);
    const answer = desk && (await act(operator, "referee", { server, active: true, clientId: toHex(random.bytes(16)) }));
    if (answer?.ok) referees.push(server);
    else clock.after(1_000, () => void nameReferee());
  }

  // --- customers ------------------------------------------------------------------------------------------------------------------------
  const sessions: LeaseSession[] = [];
  for (let i = 0; i < 2; i++) {
    const identity = await party(`customer ${i}`);
    await must(operator, "credit", { party: identity.party, amountNanos: "1000000000", source: "operator", reference: "", clientId: toHex(random.bytes(16)) });
    const client = new SimClient("sim:", pins, identity);
    client.reads = () => reads;
    (client as { crypto: Crypto }).crypto = crypto;
    (client as { timers: Timers }).timers = clock;
    client.via = () => network.connect(`customer ${i}`);
    const own: LeaseSession[] = [];
    const link = openLink(
      client,
      { onUp: () => own.forEach((session) => session.hint()), onEvent: (event) => own.forEach((session) => session.hint(event)) },
      () => network.connect(`customer ${i}`),
      clock,
    );
    client.viaLink = link;
    for (let j = 0; j < 3; j++) {
      clock.after(random.between(500, 120_000), () => void order());
      const order = async (): Promise<void> => {
        const kind = random.chance(0.1) ? "fail" : "run";
        const replicas = random.chance(0.25) ? 2 : 1;
        const assured = replicas > 1 || random.chance(0.3);
        const job = buildJob({
          module: bytesBlob(random.bytes(200)),
          args: [kind, String(random.between(0, assured ? 6_000 : 90_000)), String(random.between(0, 3)), "x".repeat(random.between(0, 50))],
          env: [],
          mounts: [],
          stdin: bytesBlob(new Uint8Array()),
          engine: "sim-1",
          memoryMibMax: 64,
          diskMibMax: 64,
          outputMibMax: 1,
          fuelMax: 10n ** 15n,
          seed: random.bytes(32),
          clockBaseMs: clock.now(),
        });
        const document = signOrder(
          client,
          {
            resources: { vcpu: random.between(1, 2), memoryMib: 256, diskMib: 64 },
            conditions: assured && replicas === 1 ? [{ key: "server", op: "=", value: random.pick(serverIds) }] : [],
            terms: assured ? "on-result" : random.pick(["on-result", "by-interval"] as const),
            assurance: assured ? "replicated" : "isolated",
            on: "market",
            maxPriceNanosPerHour: null,
            durationMsMax: random.between(1_000, 120_000),
            fuelMax: BigInt(job.spec.fuelMax),
            budgetNanos: BigInt(random.between(1, assured ? 20_000_000 : 200_000)),
            label: "",
            replicas,
          },
          job.jobHash,
        );
        const answer = await link.submit(document.envelope);
        trace(`${clock.now() - START} order ${kind}${replicas > 1 ? ", two replicas" : ""}: ${answer.ok ? "bound" : answer.code}`);
        if (!answer.ok) return;
        const slots = (answer.answer["replicas"] as { purchaseOrder: unknown }[] | undefined) ?? [{ purchaseOrder: answer.answer["purchaseOrder"] }];
        const bound = slots.map(({ purchaseOrder }) => checkBound(client, document.id, purchaseOrder));
        if (random.chance(0.1)) return; // a customer who vanishes before a byte was sent
        const mine = bound.map((each) => new LeaseSession(client, each, job, {}, link, { stdout: 0, stderr: 0 }, clock));
        own.push(...mine);
        sessions.push(...mine);
        if (assured && random.chance(0.8)) void doubt(client, mine, document.payload, job, (what) => trace(`${clock.now() - START} ${what}`));
        const session = random.pick(mine);
        if (random.chance(0.25))
          clock.after(
            random.between(1_000, 60_000),
            () => void link.submit(client.sign("stop", { lease: session.lease, party: identity.party, reason: "" }).envelope),
          );
        if (random.chance(0.2)) clock.after(random.between(1_000, 60_000), () => session.close());
      };
    }
  }

  // --- faults ---------------------------------------------------------------------------------------------------------------------------
  const hosts = [...servers.map(({ host }) => host), "customer 0", "customer 1"];
  for (let at = 5_000; at < FAULTS_MS; at += random.between(5_000, 30_000)) {
    clock.after(at, () => {
      const what = random.pick(["cut", "cut", "partition", "server", "broker", "power"] as const);
      const server = random.pick(servers);
      trace(`${clock.now() - START} fault: ${what}`);
      if (what === "cut") for (const pipe of [...network.pipes]) if (random.chance(0.5)) pipe.cut();
      if (what === "partition") network.partition(random.pick(hosts), random.between(1_000, 70_000));
      if (what === "server" || what === "power") {
        server.stop();
        if (what === "power") server.driver.loseGuests();
        clock.after(random.between(100, DAEMON_DOWN_MS_MAX), () => server.start());
      }
      if (what === "broker" && desk) {
        killBroker();
        clock.after(random.between(100, 10_000), () => void startBroker());
      }
    });
  }
  clock.after(FAULTS_MS + 20_000, () => network.heal());
  // what was objected to and never brought before the referee is the operator's to decide
  clock.after(END_MS - 60_000, () => void ruleAll());
  async function ruleAll(): Promise<void> {
    const { leases } = await snapshot();
    for (const { id, state, trace: traced, end } of leases)
      if (state === "disputed" && !traced) await act(operator, "ruling", { lease: id, ownerNanos: end!.ownerNanos, reason: "nobody followed up" });
  }

  await clock.runUntil(START + END_MS, () => problem !== null);
  for (const session of sessions) session.close();
  const last = await snapshot();
  const parties = await memory.load("party", owners);
  const convictions = owners.map((owner) => parties.get(owner)!.data.record.convicted);
  const isHonest = (i: number): boolean => i !== CHEAT || cheat === null;
  const stakes = owners.map((owner) => last.balances.get(`${rootAccountOf(owner)}/staked`) ?? 0n);
  const wronged = owners.findIndex((_, i) => isHonest(i) && (convictions[i]! > 0 || stakes[i] !== STAKE));
  problem ??= auditQuiet(last) ?? ownersLoss(last.leases, servers) ?? (wronged < 0 ? null : `owner ${wronged}, who is honest, was convicted or lost stake`);
  const facts = last.leases.map((lease) => [lease.id, lease.state, lease.end?.reason ?? "", lease.end?.dueNanos ?? "", lease.attempt]);
  return { problem, leases: last.leases, digest: toHex(nodeCrypto.sha256(canonicalBytes(facts as Json))), convicted: convictions[CHEAT]! };

  /**
   * PROTOCOL section 10, by interval: unpaid work is at most I + G (and the margin before the broker gives up), and the time that the owner's own
   * daemon was down, during which its guest ran on unclaimed; unless the owner's side failed.
   */
  function ownersLoss(leases: readonly LeaseRow[], all: readonly SimServer[]): string | null {
    for (const lease of leases) {
      const ran = all.map(({ driver }) => driver.ran.get(lease.id)).find((ms) => ms !== undefined) ?? 0;
      if (lease.terms !== "by-interval" || !lease.end || ["server-failed", "owner-stop"].includes(lease.end.reason)) continue;
      const lossMs = Math.min(ran, lease.durationMsMax) - lease.end.billableMs;
      const most = timings.claimIntervalMs + timings.graceMs * 1.1 + 2_000 + DAEMON_DOWN_MS_MAX;
      if (lossMs > most) return `the owner of lease ${lease.id.slice(0, 12)} (${lease.end.reason}) worked ${ran} ms and was paid for ${lease.end.billableMs}`;
    }
    return null;
  }
}
