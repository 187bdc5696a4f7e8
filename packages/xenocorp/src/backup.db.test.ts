/**
 * A backup carries everything that a market keeps, large rows too, and a damaged one restores nothing. Each restore is an epoch of its own:
 * an honest broker that is asked the same again is convicted of nothing, and what it lost is told.
 */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { leafHashOf, parseDocument, signDocument, type Envelope, type Kind, type Payload } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { NOTHING_FOLLOWED, contradictionIn, followLog, packFork, packLoss, verifyEvidence, type LogSource } from "@xenoservers/verify";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ArchiveFolder } from "./archive/archive-folder.ts";
import { archiveRows } from "./archive/archiving-rows.ts";
import { backup, check, restore } from "./backup.ts";
import { World, type Party } from "./http/world.fixture.ts";
import { consistencyProof, inclusionProof } from "./log/proofs.ts";
import { sequence } from "./log/sequencer.ts";
import { openStore, startBroker, type Broker } from "./main.ts";
import { change } from "./store/contract.fixture.ts";
import type { ArchivePlace } from "./store/archived.ts";
import type { Store } from "./store/store.ts";
import { thoroughly } from "../../../test/thorough.ts";

const BYTES = Buffer.alloc(3_000_000, "sealed ");
const ROW = { bytes: BYTES, at: 1, until: 2 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-backup-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const PLACE = { file: "2026-11-w.ndjson.gz", start: 0, bytes: 1, digest: "d" };
const READER = { account: null, label: null, serverKey: null };

/** A lease that is over, with one document, both in the archive; and an event that was dropped. */
async function toArchive(store: Store, lease: string, place: ArchivePlace = PLACE): Promise<void> {
  const [id, salt, at] = ["ab".repeat(32), "cd".repeat(32), 5];
  const leaf = leafHashOf(nodeCrypto, { id, kind: "stop", envelope: null }, at, salt);
  const envelope = { payloadType: "t", payload: "", signatures: [{ keyid: "0".repeat(64), sig: "" }] as [{ keyid: string; sig: string }] };
  const over = { id: lease, state: "final", toldAt: 1, issuedAt: 1, holdNanos: "0", deadlineAt: null } as never;
  await store.commit([
    change({
      id: "over",
      puts: [{ kind: "lease", id: lease, expect: 0, data: over }],
      documents: [{ id, kind: "stop", lease, parties: [], envelope, at, salt, leaf }],
      events: [{ party: "p_1", kind: "k", lease, data: {}, at }],
    }),
  ]);
  expect(await store.archive(lease, place, [id])).toBe(true);
  expect(await store.dropEvents(at + 1, 9)).toBe(1);
}

it("restores what was kept, in a new epoch", async () => {
  const [from, to, file] = [path.join(folder, "from"), path.join(folder, "to"), path.join(folder, "market.backup")];
  const broker = await startBroker({ dataFolder: from });
  for (const lease of ["l1", "l2"])
    for (const part of [0, 1])
      expect(await broker.store.putSealed({ ...ROW, lease, part, owner: lease, digest: lease }, BYTES.length * 8)).toBe(lease);
  await toArchive(broker.store, "l1");
  await broker.close();
  await backup({ dataFolder: from }, file);
  const whole = await readFile(file);
  await writeFile(`${file}.cut`, whole.subarray(0, whole.length - 20));
  await expect(restore({ dataFolder: to }, `${file}.cut`)).rejects.toThrow("is no whole backup");
  const restored = await restore({ dataFolder: to }, file);
  expect(restored.epoch).toMatch(/^[0-9a-f]{32}$/);
  expect(restored.previous?.epoch).toBe(broker.desk.services.log.seen.epoch);
  expect((await check({ dataFolder: to })).problems).toEqual([]);
  const { store, close } = await openStore({ dataFolder: to });
  for (const lease of ["l1", "l2"]) expect(BYTES.equals((await store.getSealed(lease, 1))?.bytes ?? new Uint8Array())).toBe(true);
  // what lies in the archive is looked for there
  await expect(store.documentsOf("l1")).rejects.toThrow(`${PLACE.file} of the archive is asked for, and this broker has none`);
  expect(await store.events({ ...READER, party: "p_1" }, "0.0.0", 9)).toBeNull();
  await close();
});

/** A market with one lease in its archive, whose receipt is of these bytes. */
async function marketWithArchive(name: string, bytes: Buffer): Promise<{ dataFolder: string; archive: string }> {
  const at = { dataFolder: path.join(folder, name), archive: path.join(folder, `${name}-archive`) };
  const place = await new ArchiveFolder(at.archive, "w1").add(bytes, Date.UTC(2026, 10));
  const broker = await startBroker({ dataFolder: at.dataFolder });
  await toArchive(broker.store, "l1", place);
  await broker.close();
  const { store, close } = await openStore({ dataFolder: at.dataFolder });
  expect(await archiveRows({ store, folder: new ArchiveFolder(at.archive, "w2"), now: 1e12, afterMs: 0 })).toBe(1);
  await close();
  return at;
}

/** What the archive there holds of the lease. */
async function receiptIn({ dataFolder, archive }: { dataFolder: string; archive: string }): Promise<Buffer> {
  const { pool, close } = await openStore({ dataFolder });
  const { rows } = await pool.query("select file, start::int, bytes, digest from archived where lease = 'l1'");
  await close();
  const opened = await openStore({ dataFolder, archive: { folder: archive, afterMs: 1 } });
  expect((await opened.store.load("lease", ["l1"])).get("l1")).toMatchObject({ version: 1, data: { id: "l1", holdNanos: "0" } });
  await opened.close();
  return new ArchiveFolder(archive, "r").packed(rows[0]);
}

thoroughly("holds the archive where its folder is named, and brings it back to a new folder or finds it in the old one", async () => {
  const [bytes, file] = [randomBytes(5_000), path.join(folder, "archived.backup")];
  const from = await marketWithArchive("with", bytes);
  expect(await backup(from, file)).toMatchObject({ archived: 1, holdsArchive: true });
  const to = { dataFolder: path.join(folder, "with-2"), archive: path.join(folder, "with-2-archive") };
  await expect(restore({ dataFolder: to.dataFolder }, file)).rejects.toThrow("name an empty folder for them, or theirs, with --archive");
  // others' receipts lie there under the same name
  await new ArchiveFolder(to.archive, "w1").add(randomBytes(10), Date.UTC(2026, 10));
  expect(await restore(to, file)).toMatchObject({ archived: 1, receipts: 1 });
  expect(await receiptIn(to)).toEqual(bytes);
  const again = { dataFolder: path.join(folder, "with-3"), archive: from.archive };
  expect(await restore(again, file)).toMatchObject({ receipts: 1 });
  expect(await readdir(from.archive)).toEqual(["2026-11-w1.ndjson.gz", expect.stringMatching(/^rows-[0-9a-f]{64}\.ndjson\.gz$/)]);
  expect(await receiptIn(again)).toEqual(bytes);
});

it("says what it does not hold, and makes none where the archive is not what it was", async () => {
  const at = await marketWithArchive("without", randomBytes(100));
  const file = path.join(folder, "without.backup");
  expect(await backup({ dataFolder: at.dataFolder }, file)).toMatchObject({ archived: 1, holdsArchive: false });
  expect(await restore({ dataFolder: path.join(folder, "without-2") }, file)).toMatchObject({ archived: 1, receipts: 0 });
  const whole = await readFile(file);
  const [rows = ""] = (await readdir(at.archive)).filter((name) => name.startsWith("rows-"));
  const good = await readFile(path.join(at.archive, rows));
  await writeFile(path.join(at.archive, rows), "spoiled");
  await expect(backup(at, file, { replace: true })).rejects.toThrow(`${rows} of the archive cannot be read`);
  await writeFile(path.join(at.archive, rows), good);
  await writeFile(path.join(at.archive, "2026-11-w1.ndjson.gz"), randomBytes(100));
  await expect(backup(at, file, { replace: true })).rejects.toThrow("it is not what was written there");
  await rm(at.archive, { recursive: true });
  await expect(backup(at, file, { replace: true })).rejects.toThrow("of the archive cannot be read");
  expect(await readFile(file)).toEqual(whole);
  expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
});

thoroughly("leaves a file that exists as it is, also one that came meanwhile, and replaces it where that is wanted", async () => {
  const [dataFolder, file] = [path.join(folder, "replaced"), path.join(folder, "replaced.backup")];
  await (await startBroker({ dataFolder })).close();
  await writeFile(file, "precious");
  await expect(backup({ dataFolder }, file)).rejects.toThrow("exists and was left as it is");
  await symlink("nowhere", `${file}.link`);
  await expect(backup({ dataFolder }, `${file}.link`)).rejects.toThrow("exists and was left as it is");
  expect(await readFile(file, "utf8")).toBe("precious");
  await writeFile(`${file}.part`, "another's");
  const late = backup({ dataFolder }, `${file}.late`);
  await Promise.all([writeFile(`${file}.late`, "precious"), expect(late).rejects.toThrow("exists and was left as it is")]);
  expect(await readFile(`${file}.late`, "utf8")).toBe("precious");
  const keys = path.join(dataFolder, "broker-keys.json");
  for (const other of [file, keys]) {
    const before = await readFile(other);
    await expect(backup({ dataFolder }, other, { replace: true })).rejects.toThrow(other);
    expect(await readFile(other)).toEqual(before);
  }
  await rm(file);
  for (const replace of [false, true]) await backup({ dataFolder }, file, { replace });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  // what lies beside it may be what another backup writes
  expect(await readFile(`${file}.part`, "utf8")).toBe("another's");
  await rm(`${file}.part`);
  expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  expect(await restore({ dataFolder: path.join(folder, "replaced-2") }, file)).toMatchObject({ archived: 0 });
  await expect(backup({ dataFolder }, path.join(folder, "no such folder", "file"))).rejects.toThrow("there is no folder");
});

async function documentsIn(broker: Broker, kind: Kind): Promise<Envelope[]> {
  while ((await sequence(broker.desk.services)) > 0);
  const { size } = (await broker.store.logHead()) ?? { size: 0 };
  return (await broker.store.logEntries(0, size)).flatMap((document) =>
    document.kind === kind && document.envelope ? [document.envelope] : [],
  );
}

/** What a broker serves of its log. */
const sourceOf = ({ store }: Broker): LogSource => ({
  async history() {
    const epochs = await store.documentsOfKind("epoch");
    return { keySets: [], witnesses: [], epochs: epochs.map(({ envelope, at }) => ({ envelope, at })) };
  },
  inclusion: (leaf, size) => inclusionProof(store, nodeCrypto, leaf, size),
  async consistency(epoch, from, to) {
    const head = (await store.logHeads()).find(({ id }) => id === epoch);
    return head ? consistencyProof(store, nodeCrypto, from, to, head.epoch) : null;
  },
});

thoroughly("restored twice is two epochs after one, asked the same again in each, and honest", async () => {
  const world = new World(); // for its parties, offers and orders
  await world.start();
  const file = path.join(folder, "twice.backup");
  const folders = ["a", "b", "c"].map((name) => path.join(folder, name));
  const open = async (at: number): Promise<Broker> => {
    const broker = await startBroker({ dataFolder: folders[at] ?? "" });
    world.now = broker.desk.services.now();
    return broker;
  };
  const act = async <K extends Kind>(broker: Broker, signer: Party["root"], kind: K, own: Omit<Payload<K>, "origin" | "seen">) => {
    const { envelope } = signDocument(nodeCrypto, signer, kind, { origin: broker.origin, seen: null, ...own } as unknown as Payload<K>);
    const answer = await broker.desk.submit(envelope);
    expect(answer, kind).toMatchObject({ ok: true });
    return envelope;
  };

  let broker = await open(0);
  const customer = await world.party();
  const owner = await world.party();
  const server = { id: "", owner, key: world.operator };
  for (const { id: party, root } of [customer, owner])
    await act(broker, root, "party", { party, name: "p", rootKey: root.publicKey, recoveryKey: null });
  const { operator } = broker.loaded;
  if (!operator) throw new Error("the operator's key is here");
  const credit = { source: "operator", reference: "", clientId: "ab".repeat(16) } as const;
  await act(broker, operator, "credit", { party: customer.id, amountNanos: "10000000", ...credit });
  const { key, id } = world.newServer();
  Object.assign(server, { id, key });
  await act(broker, owner.root, "key-grant", world.grantOf(owner, key.publicKey, "server"));
  await act(broker, key, "offer", world.offerOf(server));
  const sell = async (at: Broker, order: Envelope): Promise<Envelope> => {
    at.desk.services.index.setOnline(id, true);
    expect(await at.desk.submit(order)).toMatchObject({ ok: true });
    const [po] = await documentsIn(at, "purchase-order");
    if (!po) throw new Error("nothing was sold");
    return po;
  };
  await documentsIn(broker, "offer");
  await broker.close();
  await backup({ dataFolder: folders[0] ?? "" }, file);

  broker = await open(0);
  const market = broker.desk.services.market;
  const order = signDocument(nodeCrypto, customer.root, "order", {
    ...{ origin: broker.origin, seen: null },
    ...world.orderOf(customer),
    ...{ durationMsMax: 1_000, expiresAt: world.now + 3_600_000 },
  }).envelope;
  const sold = [await sell(broker, order)];
  const notes = [(await broker.store.logHead())?.checkpoint ?? ""];
  const tools = { crypto: nodeCrypto, market };
  const first = await followLog(tools, sourceOf(broker), NOTHING_FOLLOWED, notes[0] ?? "");
  await broker.close();

  let followed = first.kind === "extends" ? first.followed : NOTHING_FOLLOWED;
  const epochs: Envelope[] = [];
  const lost: number[] = [];
  for (const at of [1, 2]) {
    await restore({ dataFolder: folders[at] ?? "" }, file);
    broker = await open(at);
    const signed = await documentsIn(broker, "epoch");
    epochs.push(...signed.slice(0, 1));
    sold.push(await sell(broker, order));
    notes.push((await broker.store.logHead())?.checkpoint ?? "");
    const seen = await followLog(tools, sourceOf(broker), followed, notes.at(-1) ?? "");
    if (seen.kind !== "extends") throw new Error(JSON.stringify(seen));
    followed = seen.followed;
    lost.push(...seen.losses.map(({ lostLeaves }) => lostLeaves));
    const history = await sourceOf(broker).history();
    const loss = packLoss({ ...tools, history }, notes[0] ?? "", signed[0] as Envelope);
    expect(verifyEvidence(nodeCrypto, loss, market).ok).toBe(true);
    await broker.close();
  }
  // what was lost: the first time what the broker had logged since its backup, the second time all of the epoch between
  expect(lost).toHaveLength(2);
  const names = epochs.map((envelope) => {
    const parsed = parseDocument(nodeCrypto, envelope);
    return parsed.ok && parsed.document.kind === "epoch" ? parsed.document.payload : null;
  });
  expect(names[0]?.epoch).not.toBe(names[1]?.epoch);
  expect(names[0]?.previous).toEqual(names[1]?.previous);
  const history = { keySets: [], witnesses: [], epochs: epochs.map((envelope) => ({ envelope, at: 1 })) };
  for (const pairs of [sold, epochs])
    for (const [i, one] of pairs.entries())
      for (const other of pairs.slice(i + 1)) {
        expect(one).not.toEqual(other);
        expect(contradictionIn(nodeCrypto, one, other)).toBeNull();
      }
  for (const one of notes) for (const other of notes) expect(packFork({ ...tools, history }, one, other)).toBeNull();
  await world.close();
});
