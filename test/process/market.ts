/** A whole market in one process, real in every part: Postgres, broker over HTTP and WebSocket, xenoserver with sandboxed guests, a customer. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { signDocument, formatEnrolToken, type Kind, type Payload } from "@xenoservers/protocol";
import type { Pipe } from "@xenoservers/protocol/link";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { connectPipe } from "@xenoservers/protocol/websocket";
import {
  MarketClient,
  buildJob,
  bytesBlob,
  checkBound,
  fetchMarket,
  fileBlob,
  identityOf,
  openLink,
  pinsOf,
  signOrder,
  LeaseSession,
  type BuiltVm,
  type JobInput,
  type Wanted,
} from "@xenoservers/sdk";
import { startBroker, type Broker, type BrokerOptions } from "@xenoservers/xenocorp";
import { enrol, startDaemon, type Daemon, type DaemonOptions } from "@xenoservers/xenoserver";
import { ENGINE_VERSION, pythonRuntime } from "@xenoservers/guests";

export interface TestMarket {
  folder: string;
  broker: Broker;
  daemon: Daemon;
  customer: MarketClient;
  owner: MarketClient;
  log: string[];
  /** Signs as the operator and submits. */
  operator<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<void>;
  newParty(name: string, credit?: string): Promise<MarketClient>;
  /** Cuts the server's link and keeps it down for a while. */
  closeLink(ms: number): void;
  restartBroker(): Promise<void>;
  startServer(): Promise<Daemon>;
  addServer(name: string, of: MarketClient, options?: { toml?: string; wrapDriver?: DaemonOptions["wrapDriver"] }): Promise<Daemon>;
  close(): Promise<void>;
}

export async function startMarket(options: Partial<BrokerOptions> = {}, serverToml = ""): Promise<TestMarket> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-market-"));
  const log: string[] = [];
  const start = (port: number) => startBroker({ dataFolder: path.join(folder, "broker"), port, ...options });
  let broker = await start(0);
  const market = await fetchMarket(broker.url);
  const pins = pinsOf(market);

  async function operator<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<void> {
    const document = signDocument(nodeCrypto, broker.loaded.operator!, kind, { origin: pins.origin, seen: null, ...payload } as unknown as Payload<K>);
    const answer = await broker.desk.submit(document.envelope);
    if (!answer.ok) throw new Error(`${answer.code} ${JSON.stringify(answer.facts)}`);
  }
  async function newParty(name: string, credit?: string): Promise<MarketClient> {
    const client = new MarketClient(broker.url, pins, identityOf(randomBytes(32)));
    await client.act("party", { party: client.identity.party, name, rootKey: client.identity.signer.publicKey, recoveryKey: null });
    if (credit)
      await operator("credit", { party: client.identity.party, amountNanos: credit, source: "operator", reference: "test", clientId: client.newId() });
    return client;
  }
  const owner = await newParty("owner");
  const customer = await newParty("customer", "10000000000");
  /** Another party's machine, enrolled and listed. */
  async function addServer(name: string, of: MarketClient, options: { toml?: string; wrapDriver?: DaemonOptions["wrapDriver"] } = {}): Promise<Daemon> {
    const at = path.join(folder, name);
    await enrolIn(at, of);
    const toml = path.join(folder, `${name}.toml`);
    await writeFile(toml, options.toml ?? "");
    let listed: () => void = () => {};
    const isListed = new Promise<void>((resolve) => (listed = resolve));
    const daemon = await startDaemon({
      folder: at,
      configFile: toml,
      cache: path.join(folder, "prepared"),
      connect: () => connectPipe(broker.url),
      log: (what) => void (what === "listed" && listed()),
      ...(options.wrapDriver ? { wrapDriver: options.wrapDriver } : {}),
    });
    others.push(daemon);
    await isListed;
    return daemon;
  }
  async function enrolIn(at: string, of: MarketClient): Promise<void> {
    const seed = randomBytes(32);
    await of.act("key-grant", {
      party: of.identity.party,
      key: createSigner(seed).publicKey,
      role: "enrol",
      label: "one machine",
      account: null,
      maxSpendPerDayNanos: null,
      expiresAt: null,
    });
    await enrol(at, formatEnrolToken({ url: broker.url, ...pins, party: of.identity.party, seed: seed.toString("hex") }), "test");
  }
  const others: Daemon[] = [];
  const serverFolder = path.join(folder, "server");
  await enrolIn(serverFolder, owner);
  const configFile = path.join(folder, "xenoserver.toml");
  await writeFile(configFile, serverToml);
  let pipe: Pipe | null = null;
  let downUntil = 0;
  const connect = async (): Promise<Pipe> => {
    if (Date.now() < downUntil) throw new Error("cut");
    return (pipe = await connectPipe(broker.url));
  };
  const startServer = async () => {
    const daemon = await startDaemon({
      folder: serverFolder,
      configFile,
      cache: path.join(folder, "prepared"),
      connect,
      log: (what, facts) => void log.push(`${what} ${JSON.stringify(facts)}`),
    });
    await until(() => daemon.server.state.connected && log.some((line) => line.startsWith("listed")));
    return daemon;
  };
  const self: TestMarket = {
    folder,
    broker,
    daemon: await startServer(),
    customer,
    owner,
    log,
    operator,
    newParty,
    startServer,
    addServer,
    closeLink(ms) {
      downUntil = Date.now() + ms;
      pipe?.close();
    },
    async restartBroker() {
      const { port } = new URL(broker.url);
      await broker.close();
      broker = await start(Number(port));
      self.broker = broker;
    },
    async close() {
      await Promise.all([self.daemon, ...others].map((daemon) => daemon.close()));
      await self.broker.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return self;
}

export async function until(condition: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  for (const deadline = Date.now() + withinMs; !(await condition());) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const wanted = (over: Partial<Wanted> = {}): Wanted => ({
  resources: { vcpu: 1, memoryMib: 256, diskMib: 64 },
  conditions: [],
  terms: "on-result",
  assurance: "isolated",
  on: "market",
  maxPriceNanosPerHour: null,
  durationMsMax: 60_000,
  fuelMax: 10n ** 15n,
  budgetNanos: 1_000_000_000n,
  label: "",
  ...over,
});

export async function pythonJob(source: string, over: Partial<JobInput> = {}) {
  const python = await fileBlob((await pythonRuntime()).file);
  return buildJob({
    module: python,
    args: ["python", "/app/main.py"],
    env: [],
    mounts: [
      {
        mount: { path: "/app", writable: false, keep: false },
        entries: [{ path: "main.py", kind: "file", blob: bytesBlob(new TextEncoder().encode(source)) }],
      },
      { mount: { path: "/out", writable: true, keep: true }, entries: [] },
    ],
    stdin: bytesBlob(new Uint8Array()),
    engine: ENGINE_VERSION,
    memoryMibMax: 256,
    diskMibMax: 64,
    outputMibMax: 4,
    fuelMax: 10n ** 15n,
    ...over,
  });
}

/** Orders, follows and ends with what the customer got. */
export async function orderAndFollow(client: MarketClient, job: Awaited<ReturnType<typeof pythonJob>> | BuiltVm, over: Partial<Wanted> = {}) {
  const order = signOrder(client, wanted(over), job.jobHash);
  const answer = await client.submit(order.envelope);
  if (!answer.ok) throw new Error(`${answer.code} ${JSON.stringify(answer.facts)}`);
  const bound = checkBound(client, order.id, answer.answer["purchaseOrder"]);
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
      for (const entry of delivered?.tree ?? []) if (entry.kind === "file") files[entry.path] = Buffer.from(await session.fetch(entry)).toString();
      session.close();
      link.stop();
      return { lease, delivered, files, ...seen };
    },
  };
}
