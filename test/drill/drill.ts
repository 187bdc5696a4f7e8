/**
 * A market of real processes, in which one after the other is killed without warning while customers work, and then all brokers are away for
 * a while. Afterwards an audit: nothing that was agreed, paid, printed or told is lost. The seed fixes who is killed and with which pauses.
 */
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { MarketClient, fetchMarket, identityOf, pinsOf, type Identity } from "@xenoservers/sdk";
import { formatEnrolToken, signDocument, toHex } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { readBrokerKeys } from "@xenoservers/xenocorp";
import { enrol } from "@xenoservers/xenoserver";
import { startEmbeddedPostgres } from "../../packages/xenocorp/src/store/embedded.ts";
import { endGuests } from "../process/guests.ts";
import { WASM_ALONE } from "../process/settings.ts";
import { placeDatabase } from "../shared.ts";
import { freePort } from "../support/free-port.ts";
import { until } from "../until.ts";
import { auditDrill, type Told } from "./audit.ts";
import { EventWatch } from "./event-watch.ts";
import { pause } from "./pace.ts";
import { brokerService, customerService, serverService, type Service } from "./processes.ts";
import type { CustomerSays } from "./setting.ts";

const CREDIT_NANOS = 10_000_000_000n;
const CUSTOMERS = 2;
const PAUSE_MS = { least: 200, more: 3_000 };
/** So many of the kills come while the one before is not got over yet. */
const HASTY_PART = 0.3;
const GONE_MS = { least: 0, more: 1_500 };

export interface DrillOptions {
  seed: number;
  kills: number;
  outageSeconds: number;
  say(line: string): void;
  /** Changes what stands in the database once everything is over, for an audit that must tell it. */
  falsify?(databaseUrl: string): Promise<void>;
}

/** A number in [0, 1), the next of the seed (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Customer {
  identity: Identity;
  seed: string;
  service: Service;
  told: Told;
  starts: number;
}

export class Drill {
  readonly #options: DrillOptions;
  readonly #random: () => number;
  readonly #folder: string;
  readonly #databaseUrl: string;
  #url = "";
  #brokers: Service[] = [];
  #server: Service | null = null;
  #customers: Customer[] = [];
  #watch: EventWatch | null = null;
  /** How often a customer has said something. */
  #heard = 0;
  #database: { stop(): Promise<void> };

  private constructor(options: DrillOptions, folder: string, database: { stop(): Promise<void>; connection: { host: string } }) {
    this.#options = options;
    this.#random = randomOf(options.seed);
    this.#folder = folder;
    this.#database = database;
    this.#databaseUrl = `postgres://xeno@/postgres?host=${encodeURIComponent(database.connection.host)}`;
  }

  /** What is wrong after all of it; empty when nothing is. */
  static async run(options: DrillOptions): Promise<string[]> {
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-drill-"));
    await placeDatabase(path.join(folder, "database"));
    const drill = new Drill(options, folder, await startEmbeddedPostgres(path.join(folder, "database")));
    try {
      await drill.#open();
      await drill.#kills();
      await drill.#outage();
      return await drill.#settle();
    } finally {
      await drill.#close();
    }
  }

  #at(name: string): string {
    return path.join(this.#folder, name);
  }

  #between({ least, more }: { least: number; more: number }): number {
    return least + Math.floor(this.#random() * more);
  }

  async #open(): Promise<void> {
    const ports = [await freePort(), await freePort()];
    this.#url = ports.map((port) => `http://127.0.0.1:${port}`).join(",");
    this.#brokers = ports.map((port, i) => brokerService(`broker ${i + 1}`, this.#at(`broker${i}`), port, this.#databaseUrl));
    const [first, second] = this.#brokers;
    first?.start();
    await until(() => fetchMarket(this.#url).then(Boolean, () => false));
    await mkdir(this.#at("broker1"), { recursive: true });
    await copyFile(path.join(this.#at("broker0"), "broker-keys.json"), path.join(this.#at("broker1"), "broker-keys.json"));
    second?.start();
    const pins = pinsOf(await fetchMarket(this.#url));
    await this.#openServer(await this.#party("owner", randomBytes(32).toString("hex")));
    for (let i = 0; i < CUSTOMERS; i++) {
      const seed = randomBytes(32).toString("hex");
      const client = await this.#party(`customer ${i + 1}`, seed, CREDIT_NANOS);
      this.#customers.push({
        identity: client.identity,
        seed,
        service: this.#customerOf(seed, i, 0),
        told: { bound: [], ended: [] },
        starts: 0,
      });
    }
    this.#watch = new EventWatch(this.#customers.map(({ identity }) => new MarketClient(this.#url, pins, identity)));
    for (const customer of this.#customers) this.#start(customer);
  }

  async #openServer(owner: MarketClient): Promise<void> {
    const seed = randomBytes(32);
    const { party } = owner.identity;
    await owner.act("key-grant", {
      ...{ party, key: createSigner(seed).publicKey, role: "enrol", label: "one machine", scopes: ["enrol"], account: null },
      ...{ leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null },
    });
    await enrol(this.#at("server"), formatEnrolToken({ url: this.#url, pins: owner.pins, party, seed: seed.toString("hex") }), "drill");
    await writeFile(path.join(this.#at("server"), "xenoserver.toml"), WASM_ALONE);
    this.#server = serverService(this.#at("server"), this.#at("owner"));
    this.#server.start();
    await until(async () => (await owner.read("offers")).offers.length > 0);
  }

  async #party(name: string, seed: string, credit = 0n): Promise<MarketClient> {
    const client = new MarketClient(this.#url, pinsOf(await fetchMarket(this.#url)), identityOf(Buffer.from(seed, "hex")));
    const { party, signer } = client.identity;
    await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
    const { operator, origin } = await readBrokerKeys(this.#at("broker0"));
    if (credit === 0n || !operator) return client;
    const terms = { source: "operator", reference: name, clientId: toHex(randomBytes(16)) } as const;
    const { envelope } = signDocument(nodeCrypto, operator, "credit", {
      origin,
      seen: null,
      party,
      amountNanos: credit.toString(),
      ...terms,
    });
    const answer = await client.submit(envelope);
    if (!answer.ok) throw new Error(`the credit was refused: ${answer.code}`);
    return client;
  }

  #customerOf(seed: string, i: number, start: number): Service {
    return customerService(`customer ${i + 1}`, { url: this.#url, seed, name: `c${i + 1}.${start}` });
  }

  #start(customer: Customer): void {
    customer.service.start((line) => {
      const says = JSON.parse(line) as CustomerSays;
      this.#heard++;
      if (says.said === "bound") customer.told.bound.push(says.lease);
      else customer.told.ended.push(says);
    });
  }

  async #kills(): Promise<void> {
    const victims = ["broker 1", "broker 2", "server", "database", ...this.#customers.map(({ service }) => service.name)];
    for (let i = 1; i <= this.#options.kills; i++) {
      const before = this.#heard;
      const isHasty = this.#random() < HASTY_PART;
      if (!isHasty) await until(() => this.#heard > before);
      await pause(this.#between(PAUSE_MS));
      const victim = victims[Math.floor(this.#random() * victims.length)] ?? "";
      this.#options.say(`${i} of ${this.#options.kills}: kill -9 ${victim}`);
      await this.#kill(victim);
    }
  }

  async #kill(victim: string): Promise<void> {
    if (victim === "database") return this.#killDatabase();
    const i = this.#customers.findIndex(({ service }) => service.name === victim);
    const customer = this.#customers[i];
    const service = customer?.service ?? [...this.#brokers, this.#server].find((each) => each?.name === victim);
    await service?.kill();
    await pause(this.#between(GONE_MS));
    if (!customer) return service?.start();
    customer.service = this.#customerOf(customer.seed, i, ++customer.starts);
    this.#start(customer);
  }

  async #killDatabase(): Promise<void> {
    const file = path.join(this.#at("database"), "postgres", "postmaster.pid");
    const pid = Number((await readFile(file, "utf8").catch(() => "")).split("\n")[0]);
    if (pid > 0) process.kill(pid, "SIGKILL");
  }

  async #outage(): Promise<void> {
    const { outageSeconds, say } = this.#options;
    say(`all brokers are away for ${outageSeconds} s`);
    await Promise.all(this.#brokers.map((broker) => broker.kill()));
    await pause(outageSeconds * 1_000);
    for (const broker of this.#brokers) broker.start();
  }

  /** Customers end what they are at, every lease comes to its end, and everything is looked through. */
  async #settle(): Promise<string[]> {
    await until(() => fetchMarket(this.#url).then(Boolean, () => false));
    await Promise.all(this.#customers.map(({ service }) => service.end()));
    const failed = this.#customers.flatMap(({ service: { name, said } }) => (said === "" ? [] : [`${name} said: ${said}`]));
    const pins = pinsOf(await fetchMarket(this.#url));
    const audited = await auditDrill({
      ...{ dataFolder: this.#at("broker0"), databaseUrl: this.#databaseUrl, creditNanos: CREDIT_NANOS },
      ...this.#options,
      customers: this.#customers.map(({ identity, told }) => ({ client: new MarketClient(this.#url, pins, identity), told })),
      seen: async () => (await this.#watch?.end()) ?? [],
    });
    return [...failed, ...audited];
  }

  async #close(): Promise<void> {
    await this.#watch?.end();
    await Promise.all([...this.#customers.map(({ service }) => service), ...this.#brokers, this.#server].map((each) => each?.kill()));
    await this.#database.stop();
    await endGuests(this.#folder);
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
