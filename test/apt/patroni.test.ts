/** A database under Patroni whose primary dies while orders come: what was answered is there at the one that took over, once. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signDocument, type Envelope, type Kind, type Payload, type Signer } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { check, startBroker, type Broker } from "@xenoservers/xenocorp";
import { World, type Party, type Server } from "../../packages/xenocorp/src/http/world.fixture.ts";
import { PATIENT } from "../process/settings.ts";
import { PatroniCluster, missing } from "./patroni-cluster.ts";
import { until } from "../until.ts";

if (missing.length > 0) console.warn(`SKIPPED: a failover under Patroni, for ${missing.join(", ")} are not installed`);

const CUSTOMERS = 4;
const BEFORE = 10;
const AFTER = 10;
const CREDIT_NANOS = 100_000_000_000n;

describe.skipIf(missing.length > 0)("a failover", () => {
  let cluster: PatroniCluster;
  let broker: Broker;
  let dataFolder: string;
  const world = new World(); // for its parties, offers and orders

  beforeAll(async () => {
    await world.start();
    dataFolder = await mkdtemp(path.join(tmpdir(), "xeno-failover-"));
    cluster = await PatroniCluster.open();
    broker = await startBroker({ dataFolder, databaseUrl: cluster.url, market: { timings: PATIENT } });
    world.now = broker.desk.services.now();
  });
  afterAll(async () => {
    await broker?.close();
    await cluster?.close();
    await world.close();
    await rm(dataFolder, { recursive: true, force: true });
  });

  const sign = <K extends Kind>(signer: Signer, kind: K, own: Omit<Payload<K>, "origin" | "seen">): Envelope =>
    signDocument(nodeCrypto, signer, kind, { origin: broker.origin, seen: null, ...own } as unknown as Payload<K>).envelope;

  /** The same bytes until they are answered. */
  async function answered(envelope: Envelope): Promise<Record<string, unknown>> {
    for (;;) {
      const answer = await broker.desk.submit(envelope).catch(() => null);
      if (answer?.ok) return answer.answer;
      if (answer && answer.code !== "unavailable") throw new Error(`${answer.code} ${JSON.stringify(answer.facts)}`);
    }
  }

  async function party(credit = 0n): Promise<Party> {
    const made = await world.party();
    await answered(sign(made.root, "party", { party: made.id, name: "p", rootKey: made.root.publicKey, recoveryKey: null }));
    const { operator } = broker.loaded;
    if (credit === 0n || !operator) return made;
    const terms = { source: "operator", reference: "", clientId: made.id.slice(-32) } as const;
    await answered(sign(operator, "credit", { party: made.id, amountNanos: credit.toString(), ...terms }));
    return made;
  }

  async function listed(): Promise<Server> {
    const owner = await party();
    const server = { ...world.newServer(), owner };
    await answered(sign(owner.root, "key-grant", world.grantOf(owner, server.key.publicKey, "server")));
    const resources = { vcpu: 1_024, memoryMib: 16_777_216, diskMib: 16_777_216 };
    await answered(sign(server.key, "offer", world.offerOf(server, { resources, timings: PATIENT, validUntil: world.now + 3_600_000 })));
    broker.desk.services.index.setOnline(server.id, true);
    return server;
  }

  it("under load loses no lease and no nano, and asks again what it left open", async () => {
    const server = await listed();
    const customers = await Promise.all(Array.from({ length: CUSTOMERS }, () => party(CREDIT_NANOS)));
    const said: { envelope: Envelope; answer: Record<string, unknown> }[] = [];
    let isOver = false;
    const work = customers.map(async (customer) => {
      const say = async (envelope: Envelope): Promise<Record<string, unknown>> => {
        const answer = await answered(envelope);
        said.push({ envelope, answer });
        return answer;
      };
      for (let after = 0; after < AFTER; after += isOver ? 1 : 0) {
        const expiresAt = broker.desk.services.now() + 600_000;
        const placed = await say(sign(customer.root, "order", { ...world.orderOf(customer), timings: PATIENT, expiresAt }));
        await say(sign(server.key, "acceptance", { lease: String(placed["lease"]), server: server.id }));
      }
    });
    await until(() => said.length >= BEFORE);
    const primary = await cluster.primary();
    if (!primary) throw new Error(cluster.said);
    const before = said.length;
    await cluster.kill(primary);
    await until(async () => ((await cluster.primary()) ?? primary) !== primary);
    await until(() => said.length > before + CUSTOMERS);
    isOver = true;
    await Promise.all(work);

    const leases = [...new Set(said.flatMap(({ answer }) => (typeof answer["lease"] === "string" ? [answer["lease"]] : [])))];
    const rows = await broker.store.load("lease", leases);
    expect([...rows.values()].filter(({ data }) => data.state === "open")).toHaveLength(leases.length);
    for (const { envelope, answer } of said) expect(await answered(envelope)).toEqual(answer);
    const holds = [...rows.values()].reduce((sum, { data }) => sum + BigInt(data.holdNanos), 0n);
    const { balances, held } = await broker.store.audit();
    expect(held).toBe(holds);
    for (const { account } of customers)
      expect([...balances].filter(([key]) => key.includes(account)).reduce((sum, [, amount]) => sum + amount, 0n)).toBe(CREDIT_NANOS);
    expect((await check({ dataFolder, databaseUrl: cluster.url })).problems).toEqual([]);
  });
});
