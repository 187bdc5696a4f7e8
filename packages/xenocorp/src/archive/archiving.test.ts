/** Leases that are long over go to the archive whole: it verifies by itself, and the broker answers from it as before. */
import { mkdtemp, readFile, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { API, zReceipt, type Receipt } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt } from "@xenoservers/verify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Receipts } from "../http/receipts.ts";
import { World, newId, type Party, type Server } from "../http/world.fixture.ts";
import { publishedLeaf, sequence } from "../log/sequencer.ts";
import { createMemoryStore } from "../store/memory.ts";
import { ArchiveFolder } from "./archive-folder.ts";
import { archiveRows } from "./archiving-rows.ts";
import { archiveOver } from "./archiving.ts";

const AFTER_MS = 86_400_000;

let folder: string;
let archive: ArchiveFolder;
let world: World;
let customer: Party;
let server: Server;
/** Of leases that are over, of each end one, and one that runs. */
let over: string[];
let live: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-archive-"));
  archive = new ArchiveFolder(folder, "w1");
  world = new World(createMemoryStore(() => world.now, archive));
  await world.start();
  await world.must(world.operator, "fee", { basisPoints: 0, effectiveAt: world.now, clientId: newId() });
  customer = await world.party(1_000_000_000n);
  server = await world.server(await world.party());
  const [stopped, done] = [await world.lease(customer, server), await world.lease(customer, server)];
  await world.must(customer.root, "stop", { lease: stopped.lease, party: customer.id, reason: "" });
  await world.must(server.key, "result", await world.resultOf(done.lease, server));
  const { lease: lapsed } = await world.must(customer.root, "order", world.orderOf(customer));
  await world.pass(60_000);
  await world.pass(world.services.config.timings.disputeWindowMs + 60_000);
  await world.renew(server);
  live = (await world.lease(customer, server)).lease;
  over = [stopped.lease, done.lease, String(lapsed)];
  while ((await sequence(world.services)) > 0);
});
afterEach(async () => {
  await world.close();
  await rm(folder, { recursive: true, force: true });
});

const receipts = (): Receipts => new Receipts(world.services);
const receiptOf = async (lease: string): Promise<Receipt> => zReceipt.parse(await receipts().of(await world.row(lease)));
const archiveNow = (afterMs = AFTER_MS) =>
  archiveOver({ services: world.services, receipts: receipts(), folder: archive, afterMs, long: new Set() });
const failedIn = (receipt: unknown) =>
  verifyReceipt(nodeCrypto, world.services.market, receipt).lines.filter(({ status }) => status === "failed");
const fileNow = async (): Promise<string> => path.join(folder, (await readdir(folder))[0] ?? "");
const linesIn = (bytes: Buffer): unknown[] =>
  gunzipSync(bytes)
    .toString()
    .trim()
    .split("\n")
    .map((line): unknown => JSON.parse(line));

describe("a lease that is over", () => {
  it("goes when nothing was said of it for so long, and no other does", async () => {
    expect(await archiveNow()).toBe(0);
    expect(await readdir(folder)).toEqual([]);
    world.now += AFTER_MS + 1_000_000;
    expect((await Promise.all(over.map((lease) => world.row(lease)))).map(({ state }) => state)).toEqual(["final", "final", "lapsed"]);
    expect(await archiveNow()).toBe(3);
    expect(await archiveNow()).toBe(0);
    const lines = linesIn(await readFile(await fileNow())).map((line) => zReceipt.parse(line));
    expect(lines.map(({ lease }) => lease).sort()).toEqual(over.toSorted());
    for (const line of lines) expect(failedIn(line)).toEqual([]);
    expect(lines.some(({ lease }) => lease === live)).toBe(false);
  });

  it("is answered with the same receipt from there, stands in the same lists, and leaves the public log as it was", async () => {
    const size = (await world.store.logHead())?.size ?? 0;
    const log = async () => (await world.store.logEntries(0, size)).map((document) => publishedLeaf(nodeCrypto, document));
    const before = await Promise.all(over.map(receiptOf));
    const [leaves, balances] = [await log(), await world.store.audit()];
    world.now += AFTER_MS + 1_000_000;
    expect(await archiveNow()).toBe(3);
    expect((await world.store.logEntries(0, size)).some(({ envelope }) => envelope === null)).toBe(true);
    expect(await Promise.all(over.map(receiptOf))).toEqual(before);
    for (const lease of over) expect(failedIn(await receiptOf(lease))).toEqual([]);
    expect(await log()).toEqual(leaves);
    expect(await world.store.audit()).toEqual(balances);
    expect(await world.store.document(before[0]?.documents[0]?.id ?? "")).toMatchObject({ envelope: before[0]?.documents[0]?.envelope });
  });

  it("whose receipt does not hold stays where it is, and the others go", async () => {
    const [first] = over;
    const broken: Receipts = Object.assign(Object.create(receipts()) as Receipts, {
      of: async (lease: Parameters<Receipts["of"]>[0]) => {
        const receipt = await receipts().of(lease);
        return receipt && lease.id === first
          ? { ...receipt, documents: receipt.documents.map((document) => ({ ...document, at: document.at + 1 })) }
          : receipt;
      },
    });
    world.now += AFTER_MS + 1_000_000;
    const moving = archiveOver({ services: world.services, receipts: broken, folder: archive, afterMs: AFTER_MS, long: new Set() });
    await expect(moving).rejects.toThrow(`lease ${first} stays in the database`);
    expect(linesIn(await readFile(await fileNow()))).toHaveLength(2);
    expect((await world.store.documentsOf(first ?? "")).length).toBeGreaterThan(3);
  });

  it("that is not in the log yet waits for it", async () => {
    const { lease } = await world.lease(customer, server);
    await world.must(customer.root, "stop", { lease, party: customer.id, reason: "" });
    await world.pass(60_000);
    await world.pass(world.services.config.timings.disputeWindowMs + 60_000);
    expect((await world.row(lease)).state).toBe("final");
    await expect(archiveNow(0)).rejects.toThrow(`lease ${lease} stays in the database: a document of it is not in the log yet`);
    while ((await sequence(world.services)) > 0);
    expect(await archiveNow(0)).toBeGreaterThan(0);
  });
});

it("each writer has files of its own, one for each month, and reads those of others", async () => {
  const [receipt, other] = [await receiptOf(over[0] ?? ""), new ArchiveFolder(folder, "w2")];
  const month = 31 * 86_400_000;
  const places = [
    await archive.append(receipt, world.now),
    await other.append(receipt, world.now),
    await archive.append(receipt, world.now),
    await archive.append(receipt, world.now + month),
  ];
  expect((await readdir(folder)).length).toBe(3);
  expect(places.map(({ start }) => start > 0)).toEqual([false, false, true, false]);
  const ids = receipt.documents.map(({ id }) => id);
  for (const place of places) for (const reader of [archive, other]) expect([...(await reader.read(place)).keys()]).toEqual(ids);
});

it("of a receipt with many documents those are opened that are asked for, and its line is read once for all of its parts", async () => {
  const receipt = await receiptOf(over[0] ?? "");
  const [one, other] = [receipt.documents[0]!, receipt.documents[1]!];
  const more = Array.from({ length: 1_000 }, (_, i) => ({ ...one, id: i.toString(16).padStart(64, "0") }));
  const place = await archive.append({ ...receipt, documents: [...receipt.documents, ...more] }, world.now);
  expect([...(await archive.read(place, [one.id, "elsewhere"]))]).toEqual([[one.id, one.envelope]]);
  await rm(await fileNow());
  expect([...(await archive.read(place, [other.id]))]).toEqual([[other.id, other.envelope]]);
  await expect(archive.read(place, [more[7]!.id])).rejects.toThrow(/is another there/);
});

describe("an archive that is not what it was", () => {
  const askAs = async (party: Party, url: string) => {
    const key = (await world.store.load("key", [party.root.publicKey])).get(party.root.publicKey)?.data;
    if (!key) throw new Error("the party has its key");
    const { token } = world.sessions.token({ by: "party", party: party.id, key });
    return world.app.inject({ method: "GET", url, headers: { authorization: `Bearer ${token}` } });
  };
  const ask = (lease: string) => askAs(customer, API.receipt.path.replace(":id", lease));

  it.each<[string, () => Promise<void>]>([
    [
      "changed",
      async () => {
        const bytes = await readFile(await fileNow());
        bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
        await writeFile(await fileNow(), bytes);
      },
    ],
    ["cut off", async () => truncate(await fileNow(), 100)],
    ["gone", async () => rm(await fileNow())],
  ])("%s, is told from a lease without documents", async (_how, spoil) => {
    world.now += AFTER_MS + 1_000_000;
    expect(await archiveNow()).toBe(3);
    const first = String((linesIn(await readFile(await fileNow()))[0] as Receipt).lease);
    expect((await ask(first)).statusCode).toBe(200);
    await spoil();
    const answer = await ask(first);
    expect([answer.statusCode, answer.json()]).toMatchObject([503, { error: { code: "unavailable" } }]);
    // the lists do not need it
    expect((await world.row(first)).state).toMatch(/final|lapsed/);
  });

  it("names leases of which the rows lie there, tells nobody else of them, and stops nothing of others", async () => {
    world.now += 2 * AFTER_MS + 1_000_000;
    await archiveNow();
    expect(await archiveRows({ store: world.store, folder: archive, now: world.now, afterMs: AFTER_MS })).toBe(3);
    const [first = ""] = over;
    const { orderId } = await world.row(first);
    await rm(folder, { recursive: true });
    const list = await askAs(customer, API.leases.path);
    const { leases, away } = API.leases.reply.parse(list.json());
    expect([leases.map(({ id }) => id), away.map(({ id }) => id).toSorted()]).toEqual([[live], over.toSorted()]);
    for (const asked of [API.lease, API.receipt]) {
      const answer = await askAs(customer, asked.path.replace(":id", first));
      expect([answer.statusCode, answer.json()]).toMatchObject([
        503,
        { error: { code: "unavailable", why: expect.stringMatching(/lies in the market's archive/) } },
      ]);
      // whoever may not see it is told nothing, and has nobody look there
      expect((await askAs(await world.party(), asked.path.replace(":id", first))).statusCode).toBe(404);
    }
    expect((await askAs(customer, API.order.path.replace(":id", orderId))).json()).toMatchObject({ id: orderId });
    // a document of one that lies there fails alone, others that come with it do not
    const stop = (lease: string) => world.act(customer.root, "stop", { lease, party: customer.id, reason: "" });
    const [gone, here] = await Promise.allSettled([stop(first), stop(live)]);
    expect(gone.status).toBe("rejected");
    expect(here).toMatchObject({ status: "fulfilled", value: { id: expect.any(String) } });
  });

  it("with another lease's documents at a place gives none of them", async () => {
    const [one, other] = [await receiptOf(over[0] ?? ""), await receiptOf(over[1] ?? "")];
    const swapped = {
      ...one,
      documents: one.documents.map((document, i) => ({ ...document, envelope: other.documents[i]?.envelope ?? document.envelope })),
    };
    const place = await archive.append(swapped, world.now);
    await expect(archive.read(place)).rejects.toThrow(/is another there/);
  });
});
