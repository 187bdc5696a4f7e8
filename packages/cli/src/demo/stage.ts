/** The stage of `npm start`: a broker, people with keys and credit, machines that they enrol. */
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { formatEnrolToken, signDocument, type Kind, type Payload } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { MarketClient, RefusedError, fetchMarket, fingerprintOf, identityOf, pinsOf } from "@xenoservers/sdk";
import type { MarketPins } from "@xenoservers/verify";
import type { Daemon, DaemonOptions } from "@xenoservers/xenoserver";
import { writePrivate } from "../input/home.ts";
import { say, yellow } from "../output/ui.ts";

export interface Stage {
  url: string;
  pins: MarketPins;
  /** A person of this market, the same after a restart; new ones get credit. */
  person(name: string, title: string, creditNanos: bigint): Promise<{ client: MarketClient; seed: string; isNew: boolean }>;
  operator<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<void>;
  /** The person's machine: enrolled once, listed when this returns. */
  machine(name: string, owner: MarketClient, wrapDriver?: DaemonOptions["wrapDriver"]): Promise<Daemon>;
  close(): Promise<void>;
}

async function loadSeeds(file: string): Promise<Record<string, string>> {
  const text = await readFile(file, "utf8").catch(() => null);
  return text === null ? {} : (JSON.parse(text) as Record<string, string>);
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

/** Tries the usual port first so that contexts stay right over restarts. */
async function startOnPort<T>(start: (port: number) => Promise<T>, wanted: string | undefined): Promise<T> {
  if (wanted !== undefined) return start(Number(wanted));
  const { createServer } = await import("node:net");
  const free = await new Promise<boolean>((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(7400, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
  return start(free ? 7400 : 0);
}

export async function setStage(folder: string, port: string | undefined, step: (what: string) => void): Promise<Stage> {
  const { startBroker } = await import("@xenoservers/xenocorp");
  const broker = await startOnPort((at) => startBroker({ dataFolder: path.join(folder, "broker"), port: at, name: "demo.local", progress: step }), port);
  const pins = pinsOf(await fetchMarket(broker.url));
  step(`the broker answers at ${broker.url}, fingerprint ${fingerprintOf(nodeCrypto, pins)}`);
  const people = path.join(folder, "people.json");
  const daemons: Daemon[] = [];

  const operator: Stage["operator"] = async (kind, payload) => {
    const document = signDocument(nodeCrypto, broker.loaded.operator!, kind, { origin: pins.origin, seen: null, ...payload } as never);
    const answer = await broker.desk.submit(document.envelope);
    if (!answer.ok) throw new RefusedError(answer);
  };

  return {
    url: broker.url,
    pins,
    operator,
    async person(name, title, creditNanos) {
      const seeds = await loadSeeds(people);
      const seed = (seeds[name] ??= randomBytes(32).toString("hex"));
      await writePrivate(people, JSON.stringify(seeds));
      const client = new MarketClient(broker.url, pins, identityOf(Buffer.from(seed, "hex")));
      const isNew = await register(client, title);
      if (isNew && creditNanos > 0n) {
        const amountNanos = creditNanos.toString();
        await operator("credit", { party: client.identity.party, amountNanos, source: "operator", reference: "welcome", clientId: client.newId() });
      }
      return { client, seed, isNew };
    },
    async machine(name, owner, wrapDriver) {
      const { enrol, readIdentity, startDaemon } = await import("@xenoservers/xenoserver");
      const at = path.join(folder, name);
      if (!(await readIdentity(at))) {
        const seed = randomBytes(32);
        const { party } = owner.identity;
        await owner.act("key-grant", {
          party,
          key: createSigner(seed).publicKey,
          role: "enrol",
          label: "this machine",
          account: null,
          maxSpendPerDayNanos: null,
          expiresAt: null,
        });
        await enrol(at, formatEnrolToken({ url: broker.url, ...pins, party, seed: seed.toString("hex") }), "this machine");
      }
      let listed: () => void = () => {};
      const isListed = new Promise<void>((resolve) => (listed = resolve));
      const daemon = await startDaemon({
        folder: at,
        configFile: path.join(at, "xenoserver.toml"),
        cache: path.join(folder, "prepared"),
        log: (what, more) => (what === "listed" ? listed() : what.includes("refused") && say(yellow(`${what} ${JSON.stringify(more)}`))),
        connect: async () => (await import("@xenoservers/protocol/websocket")).connectPipe(broker.url),
        ...(wrapDriver ? { wrapDriver } : {}),
      });
      daemons.push(daemon);
      await isListed;
      return daemon;
    },
    async close() {
      for (const daemon of daemons) await daemon.close();
      await broker.close();
    },
  };
}
