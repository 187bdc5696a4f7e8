/** Two brokers on one database: what is revoked at one is cut at the other (rule K3). Waits for what happens, never for time to pass. */
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ROLE_SCOPES, type KeyRole } from "@xenoservers/market";
import {
  partyIdOf,
  refuse,
  rootAccountOf,
  serverIdOf,
  signDocument,
  toHex,
  type Kind,
  type Payload,
  type Refusal,
  type Signer,
} from "@xenoservers/protocol";
import { LinkClient, systemTimers, type Pipe } from "@xenoservers/protocol/link";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { startBroker, type Broker } from "@xenoservers/xenocorp";
import { startEmbeddedPostgres, type EmbeddedPostgres } from "../../packages/xenocorp/src/store/embedded.ts";
import { until } from "../until.ts";
import { PATIENT } from "./settings.ts";

const newSigner = (): Signer => createSigner(randomBytes(32));
const newId = (): string => toHex(randomBytes(16));
const DIGEST = "ab".repeat(32);

let folder: string;
let postgres: EmbeddedPostgres;
let here: Broker;
let there: Broker;
const links: LinkClient[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-two-"));
  postgres = await startEmbeddedPostgres(path.join(folder, "db"));
  const { host, user, database } = postgres.connection;
  const databaseUrl = `postgres://${user}@/${database}?host=${encodeURIComponent(host)}`;
  here = await startBroker({ dataFolder: path.join(folder, "here"), databaseUrl, market: { timings: PATIENT } });
  await mkdir(path.join(folder, "there"));
  await copyFile(path.join(folder, "here", "broker-keys.json"), path.join(folder, "there", "broker-keys.json"));
  there = await startBroker({ dataFolder: path.join(folder, "there"), databaseUrl, market: { timings: PATIENT } });
});
afterAll(async () => {
  for (const link of links) link.stop();
  await Promise.all([here, there].map((broker) => broker.close()));
  await postgres.stop();
  await rm(folder, { recursive: true, force: true });
});

const sign = <K extends Kind>(signer: Signer, kind: K, payload: Omit<Payload<K>, "origin" | "seen">) =>
  signDocument(nodeCrypto, signer, kind, { origin: here.origin, seen: null, ...payload } as unknown as Payload<K>);

async function post(broker: Broker, url: string, body: object): Promise<Record<string, unknown>> {
  const response = await fetch(new URL(url, broker.url), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return (await response.json()) as Record<string, unknown>;
}

async function act<K extends Kind>(
  broker: Broker,
  signer: Signer,
  kind: K,
  payload: Omit<Payload<K>, "origin" | "seen">,
): Promise<Record<string, unknown>> {
  const answer = await post(broker, "/api/v1/documents", { envelope: sign(signer, kind, payload).envelope });
  expect(answer["error"]).toBeUndefined();
  return answer;
}

async function party(): Promise<{ id: string; account: string; root: Signer }> {
  const root = newSigner();
  const id = partyIdOf(nodeCrypto, root.publicKey);
  await act(here, root, "party", { party: id, name: "p", rootKey: root.publicKey, recoveryKey: null });
  return { id, account: rootAccountOf(id), root };
}

async function grant({ id, root }: { id: string; root: Signer }, role: Exclude<KeyRole, "root">): Promise<Signer> {
  const key = newSigner();
  const bounds = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: null };
  await act(here, root, "key-grant", { party: id, key: key.publicKey, role, label: role, scopes: [...ROLE_SCOPES[role]], ...bounds });
  return key;
}

interface Open {
  link: LinkClient;
  /** Settled when the broker has refused the key and the link has given up. */
  cut: Promise<Refusal>;
  channels: { lease: string; pipe: Pipe }[];
}

async function open(broker: Broker, signer: Signer, of: string): Promise<Open> {
  const channels: Open["channels"] = [];
  let refused: (refusal: Refusal) => void = () => {};
  const cut = new Promise<Refusal>((resolve) => (refused = resolve));
  const link = await new Promise<LinkClient>((up) => {
    const client: LinkClient = new LinkClient({
      ...{ timers: systemTimers, crypto: nodeCrypto, connect: () => connectPipe(broker.url) },
      login: (challenge) => sign(signer, "login", { party: of, challenge }).envelope,
      onUp: () => up(client),
      onChannel: (lease, pipe) => void channels.push({ lease, pipe }),
      onRefused: (refusal) => refused(refusal),
    });
    links.push(client);
    client.start();
  });
  return { link, cut, channels };
}

async function token(broker: Broker, signer: Signer, of: string): Promise<string> {
  const { challenge } = await post(broker, "/api/v1/auth/challenge", {});
  const login = sign(signer, "login", { party: of, challenge: String(challenge) }).envelope;
  return String((await post(broker, "/api/v1/auth/token", { login }))["token"]);
}

const listed = async (broker: Broker): Promise<unknown[]> =>
  ((await (await fetch(new URL("/api/v1/offers", broker.url))).json()) as { offers: unknown[] }).offers;

it("cuts links, channels, event streams and listings at the other broker", async () => {
  const [customer, owner] = [await party(), await party()];
  if (!here.loaded.operator) throw new Error("the operator works here");
  const money = { amountNanos: "1000000000", source: "operator", reference: "", clientId: newId() } as const;
  await act(here, here.loaded.operator, "credit", { party: customer.id, ...money });
  const [device, serverKey] = [await grant(customer, "device"), await grant(owner, "server")];
  const server = serverIdOf(nodeCrypto, serverKey.publicKey);
  const theirs = await open(there, serverKey, owner.id);
  const offered = await theirs.link.submit(
    sign(serverKey, "offer", {
      ...{ owner: owner.id, server, sequence: 1, validUntil: Date.now() + 600_000, resources: { vcpu: 4, memoryMib: 4096, diskMib: 4096 } },
      ...{
        drivers: ["wasm"],
        assurances: ["isolated"],
        labels: {},
        maxLeaseMs: 3_600_000,
        cpuScore: 1,
        sandbox: "strong",
        accel: "none",
        vmScore: 0,
      },
      price: {
        vcpuNanosPerSecond: "1000",
        memoryGibNanosPerSecond: "0",
        diskGibNanosPerSecond: "0",
        gigaFuelNanos: "600",
        egressGibNanos: "0",
      },
      ...{
        limits: "process",
        holds: {},
        fetches: false,
        vmEngine: "",
        egress: "none",
        allowedParties: [],
        engine: "e",
        feeBasisPointsMax: 0,
      },
      ...{ timings: PATIENT, channelKey: DIGEST },
    }).envelope,
  );
  expect(offered.ok).toBe(true);
  const own = await open(there, device, customer.id);
  const ordered = await own.link.submit(
    sign(device, "order", {
      ...{
        party: customer.id,
        account: customer.account,
        batch: null,
        clientId: newId(),
        jobHash: DIGEST,
        segment: false,
        judges: null,
        driver: "wasm",
        accel: "any",
      },
      ...{ egress: "none", egressMibMax: 0, resources: { vcpu: 1, memoryMib: 64, diskMib: 1 }, conditions: [], assurance: "isolated" },
      ...{
        terms: "by-interval",
        on: "market",
        maxPriceNanosPerHour: null,
        durationMsMax: 3_600_000,
        fuelMax: "1000000000000",
        budgetNanos: "10000000",
      },
      ...{ replicas: 1, expiresAt: Date.now() + 600_000, label: "", feeBasisPointsMax: 0, timings: PATIENT },
      ...{ channelKey: DIGEST, auditSalt: DIGEST },
    }).envelope,
  );
  const lease = String(ordered.ok ? ordered.answer["lease"] : ordered.code);
  const channel = own.link.openChannel(lease);
  await until(async () => theirs.channels.length > 0);
  expect(theirs.channels[0]?.lease).toBe(lease);
  const ends = [channel, ...theirs.channels.map(({ pipe }) => pipe)].map(
    (pipe) => new Promise<void>((closed) => pipe.onClose(() => closed())),
  );

  const bearer = `Bearer ${await token(there, device, customer.id)}`;
  const stream = await fetch(new URL("/api/v1/events", there.url), { headers: { accept: "text/event-stream", authorization: bearer } });
  const reader = stream.body?.getReader();
  expect((await reader?.read())?.done).toBe(false);
  const drained = (async () => {
    while ((await reader?.read())?.done === false);
  })();

  await act(here, customer.root, "key-revoke", { party: customer.id, key: device.publicKey, reason: "lost" });
  expect((await own.cut).code).toBe(refuse("key_revoked").code);
  await Promise.all([...ends, drained]);
  const again = await fetch(new URL("/api/v1/leases", there.url), { headers: { authorization: bearer } });
  expect(await again.json()).toMatchObject({ error: { code: "key_revoked" } });

  expect(await listed(there)).toHaveLength(1);
  await act(here, owner.root, "key-revoke", { party: owner.id, key: serverKey.publicKey, reason: "stolen" });
  expect((await theirs.cut).code).toBe("key_revoked");
  await until(async () => (await listed(there)).length === 0 && (await listed(here)).length === 0);
});
