/** A whole market in one process, real in every part: Postgres, broker over HTTP and WebSocket, xenoserver with sandboxed guests, a customer. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { signDocument, formatEnrolToken, parseDocumentOf, type Kind, type Payload, type Receipt } from "@xenoservers/protocol";
import type { Pipe, Timers } from "@xenoservers/protocol/link";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { connectPipe } from "@xenoservers/protocol/websocket";
import {
  MarketClient,
  placeOrder,
  fetchMarket,
  fetchReceipt,
  identityOf,
  openLink,
  pinsOf,
  LeaseSession,
  type BuiltWork,
  type Wanted,
} from "@xenoservers/sdk";
import { startBroker, type Broker, type BrokerOptions } from "@xenoservers/xenocorp";
import { enrol, startDaemon, type Daemon, type DaemonOptions } from "@xenoservers/xenoserver";
import { placeDatabase, preparedCache } from "../shared.ts";
import { freePort } from "../support/free-port.ts";
import { until } from "../until.ts";
import { endGuests } from "./guests.ts";
import { PATIENT, WASM_ALONE } from "./settings.ts";

export { until } from "../until.ts";
export { pythonJob } from "./jobs.ts";

type WrapDriver = NonNullable<DaemonOptions["wrapDriver"]>;
type Operator = <K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">) => Promise<void>;

export interface MarketOptions extends Partial<BrokerOptions> {
  /** In place of this machine's clock, for the broker, its own server and all parties. */
  timers?: Timers;
  /** Of the market's own server. */
  wrapDriver?: WrapDriver;
}

export interface TestMarket {
  folder: string;
  broker: Broker;
  /** The market's own server. */
  daemon: Daemon;
  customer: MarketClient;
  owner: MarketClient;
  /** What the market's own server tells its owner. */
  log: string[];
  /** Signs as the operator and submits. */
  operator: Operator;
  newParty(name: string, credit?: string): Promise<MarketClient>;
  /** Cuts the server's link and keeps it down; resolves when the server knows. */
  cutLink(): Promise<void>;
  /** Resolves when the server is listed again. */
  restoreLink(): Promise<void>;
  /** Resolves when the server has been listed once more than it was. */
  listedAgain(): Promise<void>;
  restartBroker(): Promise<void>;
  startServer(): Promise<Daemon>;
  addServer(name: string, of: MarketClient, options?: { toml?: string } & Pick<DaemonOptions, "wrapDriver" | "network">): Promise<Daemon>;
  close(): Promise<void>;
}

const operatorOf =
  (broker: () => Broker): Operator =>
  async (kind, payload) => {
    const { origin, loaded, desk } = broker();
    const document = signDocument(nodeCrypto, loaded.operator!, kind, { origin, seen: null, ...payload } as unknown as Payload<
      typeof kind
    >);
    const answer = await desk.submit(document.envelope);
    if (!answer.ok) throw new Error(`${answer.code} ${JSON.stringify(answer.facts)}`);
  };

async function register(client: MarketClient, name: string): Promise<void> {
  const { party, signer } = client.identity;
  await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
}

/** Makes a folder that of a server of theirs. */
export async function enrolIn(at: string, of: MarketClient): Promise<void> {
  const seed = randomBytes(32);
  const { party } = of.identity;
  const grant = {
    role: "enrol",
    label: "one machine",
    account: null,
    leaseLabel: null,
    maxSpendPerDayNanos: null,
    expiresAt: null,
  } as const;
  await of.act("key-grant", { party, key: createSigner(seed).publicKey, scopes: ["enrol"], ...grant });
  await enrol(at, formatEnrolToken({ url: of.url, pins: of.pins, party, seed: seed.toString("hex") }), "test");
}

/** Resolves when it is listed. */
async function serve(toml: string, options: DaemonOptions): Promise<Daemon> {
  await writeFile(options.configFile, toml);
  const listed = Promise.withResolvers<void>();
  const daemon = await startDaemon({
    ...options,
    log(what, facts) {
      options.log(what, facts);
      if (what === "listed") listed.resolve();
    },
  });
  await listed.promise;
  return daemon;
}

/** A link that a test can hold down. */
class CutLink {
  #pipe: Pipe | null = null;
  #down = false;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  readonly connect = async (): Promise<Pipe> => {
    if (this.#down) throw new Error("cut");
    this.#pipe = await connectPipe(this.#url);
    if (this.#down) this.#pipe.close();
    return this.#pipe;
  };
  cut(): void {
    this.#down = true;
    this.#pipe?.close();
  }
  restore(): void {
    this.#down = false;
  }
}

export async function startMarket({ timers, wrapDriver, ...options }: MarketOptions = {}, serverToml = WASM_ALONE): Promise<TestMarket> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-market-"));
  const dataFolder = path.join(folder, "broker");
  await placeDatabase(dataFolder);
  const clock = timers ? { now: () => timers.now() } : {};
  const start = (port: number) => startBroker({ dataFolder, port, market: { timings: PATIENT }, ...clock, ...options });
  // it may be away for a while, and comes back there
  let broker = await start(await freePort());
  const { url } = broker;
  const pins = pinsOf(await fetchMarket(url));
  const cache = await preparedCache(folder);
  const log: string[] = [];
  const others: Daemon[] = [];
  const link = new CutLink(url);
  const operator = operatorOf(() => broker);

  async function newParty(name: string, credit?: string): Promise<MarketClient> {
    const client = new MarketClient(url, pins, identityOf(randomBytes(32)));
    if (timers) Object.assign(client, { timers });
    await register(client, name);
    const { party } = client.identity;
    if (credit) await operator("credit", { party, amountNanos: credit, source: "operator", reference: "", clientId: client.newId() });
    return client;
  }
  const startServer = (): Promise<Daemon> =>
    serve(serverToml, {
      ...{ folder: path.join(folder, "server"), configFile: path.join(folder, "xenoserver.toml") },
      ...{ cache, connect: link.connect, log: (what, facts) => void log.push(`${what} ${JSON.stringify(facts)}`) },
      ...(timers ? { timers } : {}),
      ...(wrapDriver ? { wrapDriver } : {}),
    });
  const listings = (): number => log.filter((line) => line.startsWith("listed")).length;

  const owner = await newParty("owner");
  const customer = await newParty("customer", "10000000000");
  await enrolIn(path.join(folder, "server"), owner);
  const self: TestMarket = {
    ...{ folder, broker, daemon: await startServer(), customer, owner, log, operator, newParty, startServer },
    async addServer(name, of, { toml = WASM_ALONE, ...more } = {}) {
      const at = path.join(folder, name);
      await enrolIn(at, of);
      const daemon = await serve(toml, {
        folder: at,
        configFile: `${at}.toml`,
        cache,
        connect: () => connectPipe(url),
        log: () => {},
        ...more,
      });
      others.push(daemon);
      return daemon;
    },
    async cutLink() {
      link.cut();
      await until(() => !self.daemon.server.state.connected);
    },
    async restoreLink() {
      const listed = self.listedAgain();
      link.restore();
      await listed;
    },
    async listedAgain() {
      const before = listings();
      await until(() => listings() > before);
    },
    async restartBroker() {
      await broker.close();
      self.broker = broker = await start(Number(new URL(url).port));
    },
    async close() {
      await Promise.all([self.daemon, ...others].map((daemon) => daemon.close()));
      await broker.close();
      await endGuests(folder);
      // a daemon may still be removing what was over when it was told to close
      await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  return self;
}

export const wanted = (over: Partial<Wanted> = {}): Wanted => ({
  resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
  conditions: [],
  terms: "on-result",
  assurance: "isolated",
  on: "market",
  maxPriceNanosPerHour: null,
  durationMsMax: 3_600_000,
  fuelMax: 10n ** 15n,
  budgetNanos: 1_000_000_000n,
  label: "",
  ...over,
});

/** Once all of it is in the log, however long the market's sequencer takes. */
export const loggedReceipt = (client: MarketClient, lease: string): Promise<Receipt> => fetchReceipt(client, lease, PATIENT.graceMs);

/** What its purchase order says that a reserved slot costs though nothing ran, in nano-credits. */
export async function slotMinimumOf(client: MarketClient, lease: string): Promise<string> {
  const { documents } = await loggedReceipt(client, lease);
  const stored = documents.find(({ kind }) => kind === "purchase-order");
  const order = stored && parseDocumentOf(nodeCrypto, "purchase-order", stored.envelope);
  if (!order?.ok) throw new Error(`lease ${lease} has no purchase order`);
  return order.document.payload.cancellationNanos;
}

/** Orders, follows and ends with what the customer got. */
export async function orderAndFollow(client: MarketClient, job: BuiltWork, over: Partial<Wanted> = {}) {
  const bound = await placeOrder(client, wanted(over), job.jobHash);
  const seen = { stdout: "", stderr: "", states: [] as string[] };
  let session: LeaseSession | null = null;
  const link = openLink(client, { onUp: () => session?.hint(), onEvent: (event) => session?.hint(event) });
  session = new LeaseSession(
    client,
    bound,
    job,
    { onOutput: (stream, bytes) => void (seen[stream] += Buffer.from(bytes).toString()), onState: (state) => void seen.states.push(state) },
    link,
  );
  return {
    session,
    seen,
    async end() {
      const [lease, delivered] = await Promise.all([session.settled(), session.delivered()]);
      const files: Record<string, string> = {};
      for (const entry of delivered?.tree ?? [])
        if (entry.kind === "file") files[entry.path] = Buffer.from(await session.fetch(entry)).toString();
      session.close();
      link.stop();
      return { lease, delivered, files, ...seen };
    },
  };
}
