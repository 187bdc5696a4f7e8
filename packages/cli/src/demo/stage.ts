/** The stage of `npm start`: a broker, people with keys and credit, machines that they enrol. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import path from "node:path";
import { formatEnrolToken, jsonIn, type Kind, type MarketPins, type Payload } from "@xenoservers/protocol";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { MarketClient, RefusedError, fetchMarket, fingerprintOf, identityOf, pinsOf, zSeed } from "@xenoservers/sdk";
import { enrol, readIdentity, startDaemon, type Daemon, type DaemonOptions } from "@xenoservers/xenoserver";
import { startBroker, type Broker, type BrokerOptions } from "@xenoservers/xenocorp";
import * as z from "zod/mini";
import { say, yellow } from "../output/terminal.ts";
import { UserError } from "../output/ui.ts";

export interface Person {
  client: MarketClient;
  seed: string;
  isNew: boolean;
}

const zSeeds = z.record(z.string(), zSeed);
const USUAL_PORT = 7400;
/** What a daemon's log says of a lease that fails on this machine: nobody else would hear why. */
const FAULTS: readonly string[] = ["the guest did not start", "a lease failed"];

/** Tries the usual port first so that contexts stay right over restarts. */
async function portFor(wanted: number | null): Promise<number> {
  if (wanted !== null) return wanted;
  const free = await new Promise<boolean>((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(USUAL_PORT, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
  return free ? USUAL_PORT : 0;
}

/** True when the party is new. */
async function register(client: MarketClient, name: string): Promise<boolean> {
  try {
    const { party, signer } = client.identity;
    await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
    return true;
  } catch (error) {
    if (error instanceof RefusedError && error.refusal.code === "id_reused") return false;
    throw error;
  }
}

interface StageOptions extends Pick<BrokerOptions, "page"> {
  folder: string;
  port: number | null;
  pages: readonly string[];
  step(what: string): void;
}

export class Stage {
  readonly pins: MarketPins;
  readonly #broker: Broker;
  readonly #folder: string;
  readonly #operator: MarketClient;
  readonly #daemons: Daemon[] = [];

  private constructor(broker: Broker, folder: string, pins: MarketPins, operator: MarketClient) {
    this.#broker = broker;
    this.#folder = folder;
    this.pins = pins;
    this.#operator = operator;
  }

  static async set({ folder, port, pages, page, step }: StageOptions): Promise<Stage> {
    const broker = await startBroker({
      dataFolder: path.join(folder, "broker"),
      port: await portFor(port),
      ...{ name: "demo.local", pages, page },
      progress: step,
    });
    const { operator } = broker.loaded;
    if (!operator) throw new UserError(`the operator's key is not in ${folder}`);
    const pins = pinsOf(await fetchMarket(broker.url));
    step(`the broker answers at ${broker.url}, fingerprint ${fingerprintOf(nodeCrypto, pins)}`);
    const identity = { ...identityOf(new Uint8Array(32).fill(1)), signer: operator };
    return new Stage(broker, folder, pins, new MarketClient(broker.url, pins, identity));
  }

  get url(): string {
    return this.#broker.url;
  }

  async operator<K extends Kind>(kind: K, own: Omit<Payload<K>, "origin" | "seen">): Promise<void> {
    await this.#operator.act(kind, own);
  }

  /** A person of this market, the same after a restart; new ones get credit. */
  async person(name: string, title: string, creditNanos: bigint): Promise<Person> {
    const file = path.join(this.#folder, "people.json");
    const known = zSeeds.safeParse(jsonIn((await readIfThere(file)) ?? "{}"));
    if (!known.success) throw new UserError(`${file} is damaged; remove ${this.#folder}, or use another folder: --data DIR`);
    const seeds = known.data;
    const seed = seeds[name] ?? randomBytes(32).toString("hex");
    await writeWhole(file, JSON.stringify({ ...seeds, [name]: seed }));
    const client = new MarketClient(this.url, this.pins, identityOf(Buffer.from(seed, "hex")));
    const isNew = await register(client, title);
    if (isNew && creditNanos > 0n) {
      const credit = {
        party: client.identity.party,
        amountNanos: creditNanos.toString(),
        source: "operator" as const,
        reference: "",
      };
      await this.operator("credit", { ...credit, clientId: client.newId() });
    }
    return { client, seed, isNew };
  }

  /** The person's machine: enrolled once, listed when this returns. */
  async machine(name: string, owner: MarketClient, wrapDriver?: DaemonOptions["wrapDriver"]): Promise<Daemon> {
    const at = path.join(this.#folder, name);
    if (!(await readIdentity(at))) await this.#enrol(at, owner);
    const listed = Promise.withResolvers<void>();
    const daemon = await startDaemon({
      folder: at,
      configFile: path.join(at, "xenoserver.toml"),
      cache: path.join(this.#folder, "prepared"),
      log(what, more) {
        if (what === "listed") listed.resolve();
        else if (what.includes("refused") || FAULTS.includes(what)) say(yellow(`${what} ${JSON.stringify(more)}`));
      },
      connect: () => connectPipe(this.url),
      ...(wrapDriver ? { wrapDriver } : {}),
    });
    this.#daemons.push(daemon);
    await listed.promise;
    return daemon;
  }

  async #enrol(at: string, owner: MarketClient): Promise<void> {
    const seed = randomBytes(32);
    const { party } = owner.identity;
    const bounds = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null };
    const key = createSigner(seed).publicKey;
    await owner.act("key-grant", { party, key, role: "enrol", label: "this machine", scopes: ["enrol"], ...bounds });
    await enrol(at, formatEnrolToken({ url: this.url, pins: this.pins, party, seed: seed.toString("hex") }), "this machine");
  }

  async close(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.close();
    await this.#broker.close();
  }
}
