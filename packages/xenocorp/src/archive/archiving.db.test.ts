/** The same on PostgreSQL, and in another epoch of the log: what lies in the archive is logged anew and proved there. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { zReceipt, type Receipt } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt } from "@xenoservers/verify";
import { afterAll, afterEach, expect, it } from "vitest";
import { createTestDatabase, dropTestDatabases, leaveTestDatabases } from "../../../../test/database.ts";
import { Receipts } from "../http/receipts.ts";
import { World, newId } from "../http/world.fixture.ts";
import { publishedLeaf, sequence, startEpoch } from "../log/sequencer.ts";
import { createPostgresStore } from "../store/postgres.ts";
import { ArchiveFolder } from "./archive-folder.ts";
import { archiveRows } from "./archiving-rows.ts";
import { archiveOver } from "./archiving.ts";

/** As rarely as is no gap. */
const HEARD_MS = 4_000;
const folders: string[] = [];
afterEach(async () => {
  await leaveTestDatabases();
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
afterAll(dropTestDatabases);

it("answers from the archive with the same proofs, and with new ones in another epoch", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-archive-"));
  folders.push(folder);
  const archive = new ArchiveFolder(folder, "w1");
  const pool = await createTestDatabase();
  const world = new World(createPostgresStore(pool, archive));
  await world.start();
  const { services, store } = world;
  const logged = async (): Promise<void> => {
    while ((await sequence(services)) > 0);
  };
  await world.must(world.operator, "fee", { basisPoints: 0, effectiveAt: world.now, clientId: newId() });
  const [customer, server] = [await world.party(1_000_000_000n), await world.server(await world.party())];
  const { lease } = await world.lease(customer, server);
  await world.must(server.key, "result", await world.resultOf(lease, server));
  for (const end = world.now + services.config.timings.disputeWindowMs; world.now <= end;) {
    world.now += HEARD_MS;
    await world.desk.runTimers();
  }
  expect((await world.row(lease)).state).toBe("final");
  await logged();
  const receiptOf = async (): Promise<Receipt> => zReceipt.parse(await new Receipts(services).of(await world.row(lease)));
  const size = (await store.logHead())?.size ?? 0;
  const log = async () => (await store.logEntries(0, size)).map((document) => publishedLeaf(nodeCrypto, document));
  const [before, leaves] = [await receiptOf(), await log()];

  expect(await archiveOver({ services, receipts: new Receipts(services), folder: archive, afterMs: 1_000, long: new Set() })).toBe(1);
  const bytes = async () =>
    (await pool.query<{ count: string }>("select count(envelope) as count from document where lease = $1", [lease])).rows;
  expect(await bytes()).toEqual([{ count: "0" }]);
  expect(await receiptOf()).toEqual(before);
  expect(await log()).toEqual(leaves);
  const row = await world.row(lease);
  expect(await archiveRows({ store, folder: archive, now: world.now + 100_000_000, afterMs: 1_000 })).toBe(1);
  expect(
    (await pool.query("select data->'reason' as reason, data ? 'archived' as archived from entity where id = $1", [lease])).rows,
  ).toEqual([{ reason: null, archived: true }]);

  expect([await world.row(lease), await receiptOf()]).toEqual([row, before]);
  // what comes late is refused as before, and changes nothing
  const late = await world.act(customer.root, "stop", { lease, party: customer.id, reason: "" });
  expect(late).toMatchObject({ code: "wrong_state" });
  expect((await store.proveBooks()).wrong).toEqual([]);

  await startEpoch(services, await store.logHead(), "as after a restore");
  await logged();
  const after = await receiptOf();
  expect(after.documents.map(({ id }) => id)).toEqual(before.documents.map(({ id }) => id));
  expect([...after.documents, ...after.leaves].every(({ index }) => index !== null)).toBe(true);
  expect(after.checkpoint).not.toBe(before.checkpoint);
  for (const receipt of [before, after])
    expect(verifyReceipt(nodeCrypto, services.market, receipt).lines.filter(({ status }) => status === "failed")).toEqual([]);
  await world.close();
});
