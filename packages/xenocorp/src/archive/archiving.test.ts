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
const archiveNow = (afterMs = AFTER_MS) => archiveOver({ services: world.services, receipts: receipts(), folder: archive, afterMs });
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
        return lease.id === first
          ? { ...receipt, documents: receipt.documents.map((document) => ({ ...document, at: document.at + 1 })) }
          : receipt;
      },
    });
    world.now += AFTER_MS + 1_000_000;
    const moving = archiveOver({ services: world.services, receipts: broken, folder: archive, afterMs: AFTER_MS });
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

describe("an archive that is not what it was", () => {
  const ask = async (lease: string) => {
    const key = (await world.store.load("key", [customer.root.publicKey])).get(customer.root.publicKey)?.data;
    if (!key) throw new Error("the customer has its key");
    const { token } = world.sessions.token({ by: "party", party: customer.id, key });
    const url = API.receipt.path.replace(":id", lease);
    return world.app.inject({ method: "GET", url, headers: { authorization: `Bearer ${token}` } });
  };

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
