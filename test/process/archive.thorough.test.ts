/** A real lease that goes to the archive of a real broker, is answered from there as before, and verifies on anybody's machine. */
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { command } from "./command.ts";
import { moduleJob, saying } from "./jobs.ts";
import { loggedReceipt, orderAndFollow, startMarket, type TestMarket } from "./market.ts";
import { PATIENT } from "./settings.ts";

let folder: string;
let market: TestMarket;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-archived-"));
  market = await startMarket({ archive: { folder, afterMs: 0 }, market: { timings: { ...PATIENT, disputeWindowMs: 1 } } });
});
afterAll(async () => {
  await market.close();
  await rm(folder, { recursive: true, force: true });
});

it("is moved by the next broker that has its turn, with nothing that anyone could tell by", async () => {
  const run = await orderAndFollow(market.customer, moduleJob(await saying("hello"), { fuelMax: 1_000_000_000n }));
  const { lease } = await run.end();
  const stands = () => market.customer.read("lease", { params: { id: lease.id } });
  await until(async () => (await stands()).state === "final");
  const [before, receipt] = [await stands(), await loggedReceipt(market.customer, lease.id)];

  await market.restartBroker();
  const { store } = market.broker;
  const moved = async (): Promise<boolean> =>
    (await store.logEntries(0, (await store.logHead())?.size ?? 0)).some(({ envelope }) => envelope === null);
  await until(moved);
  expect(await stands()).toEqual(before);
  const again = await loggedReceipt(market.customer, lease.id);
  expect(again.documents.map(({ id, envelope }) => [id, envelope])).toEqual(receipt.documents.map(({ id, envelope }) => [id, envelope]));

  const xeno = (...args: string[]) => command(path.join(market.folder, "auditor"), ...args);
  await xeno("login", market.broker.url, "--yes", "--name", "auditor", "--context", "test");
  const [file = ""] = await readdir(folder);
  const verified = await xeno("verify", path.join(folder, file));
  expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining(`holds    ${lease.id}`)]);
});
