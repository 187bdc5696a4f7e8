/** An honest owner who was convicted by a lying referee, and its command line: a second referee is drawn, and the stake comes back. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { fromHex, parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { Market, MarketClient, disputeResults, identityOf, type AppealOptions } from "@xenoservers/sdk";
import { CHEATS, cheatingDriver, readKeptWork, type GuestDriver } from "@xenoservers/xenoserver";
import { command } from "./command.ts";
import { moduleJob, saying } from "./jobs.ts";
import { loggedReceipt, orderAndFollow, startMarket, type TestMarket } from "./market.ts";

const STAKE = "1000000000";
const BUDGET = 100_000_000n;
const FUEL = 1_000_000_000_000n;

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket();
});
afterAll(() => market.close());

const xeno = (...args: string[]) => command(path.join(market.folder, "their"), ...args);

async function staked(client: MarketClient): Promise<MarketClient> {
  const { party } = client.identity;
  await market.operator("credit", { party, amountNanos: `${STAKE}0`, source: "operator", reference: "", clientId: client.newId() });
  await client.act("stake", { party, amountNanos: STAKE, direction: "deposit", clientId: client.newId() });
  return client;
}

/** The party of that command line, here. */
async function theirClient(): Promise<MarketClient> {
  await xeno("login", market.broker.url, "--yes", "--name", "owner", "--context", "test");
  const { contexts } = JSON.parse(await readFile(path.join(market.folder, "their/config/contexts.json"), "utf8")) as {
    contexts: Record<string, { url: string; pins: MarketClient["pins"]; seed: string }>;
  };
  const { url, pins, seed } = contexts["test"]!;
  return staked(new MarketClient(url, pins, identityOf(fromHex(seed)!)));
}

/** Nothing is ordered by an owner's program that declines the terms, or hands in another job; called off later, it can appeal again. */
async function declined(owner: MarketClient, lease: string, folder: string): Promise<void> {
  const sdk = Market.of(owner);
  const filed: string[] = [];
  const work: AppealOptions["work"] = async (id) => (await readKeptWork(folder, id))!;
  const no = (): never => {
    throw new Error("too dear");
  };
  const off = new AbortController();
  owner.onFiled = ({ document: { kind } }) => {
    filed.push(kind);
    if (kind === "order") off.abort(new Error("enough"));
  };
  await expect(sdk.appeal(lease, { work, onTerms: no })).rejects.toThrow("too dear");
  const other: AppealOptions["work"] = async (id) => {
    const kept = await work(id);
    return { ...kept, spec: { ...kept.spec, seed: "00".repeat(32) } } as typeof kept;
  };
  await expect(sdk.appeal(lease, { work: other })).rejects.toMatchObject({ code: "kept_differs" });
  expect(filed).toEqual([]);
  await expect(sdk.appeal(lease, { work, signal: off.signal })).rejects.toMatchObject({ code: "given_up", left: "withdrawn" });
  expect((await owner.read("lease", { params: { id: lease } })).state).toBe("convicted");
  owner.onFiled = () => {};
}

it("has its stake again by `xeno lease appeal`, which the first referee bears", async () => {
  let runs = 0;
  /** Whichever is drawn first lies, and all others are honest. */
  const firstLies = (driver: GuestDriver): GuestDriver => ({
    ...driver,
    prepare: (job) => (runs++ === 0 ? cheatingDriver(CHEATS["wrong-output"]!, driver) : driver).prepare(job),
  });
  for (const name of ["one", "another", "third"]) {
    const { server } = await market.addServer(name, await staked(await market.newParty(name)), { wrapDriver: firstLies });
    await market.operator("referee", { server: server.id, active: true, clientId: market.customer.newId() });
  }
  const owner = await theirClient();
  const { server } = await market.addServer("accused", owner);
  const job = moduleJob(await saying("hello"), { fuelMax: FUEL });
  const run = await orderAndFollow(market.customer, job, {
    ...{ conditions: [{ key: "server", op: "=" as const, value: server.id }], assurance: "replicated" as const },
    ...{ fuelMax: FUEL, budgetNanos: BUDGET },
  });
  const { lease } = await run.end();
  const { documents } = await loggedReceipt(market.customer, lease.id);
  const order = parseDocumentOf(nodeCrypto, "order", documents.find(({ kind }) => kind === "order")!.envelope);
  if (!order.ok) throw new Error("no order");
  const payload: Payload<"order"> = order.document.payload;
  const { verdicts } = await disputeResults(market.customer, [lease.id], payload, job, BUDGET);
  expect(verdicts.get(lease.id)).toMatchObject({ owner: owner.identity.party });

  const folder = path.join(market.folder, "accused");
  await declined(owner, lease.id, folder);
  const early = await xeno("lease", "appeal", lease.id, "--data", path.join(market.folder, "nowhere"), "--yes");
  expect([early.code, early.stderr]).toEqual([125, expect.stringContaining("name its folder with --data")]);
  const { code, stdout, stderr } = await xeno("lease", "appeal", lease.id, "--data", folder, "--yes");
  expect([code, stdout], stderr).toEqual([0, expect.stringContaining("overturned: your stake is yours again")]);
  expect((await market.customer.read("lease", { params: { id: lease.id } })).state).toBe("final");
  const wallet = JSON.parse((await xeno("wallet", "--json")).stdout) as { balances: Record<string, string> };
  expect(wallet.balances["staked"]).toBe(STAKE);
  const again = await xeno("lease", "appeal", lease.id, "--data", folder, "--yes");
  expect([again.code, again.stderr]).toEqual([125, expect.stringContaining("there is no verdict to appeal against")]);
});
