/** A lease of several runs before the referee, which does all of them again: an honest owner keeps its pay, one that lies about one run loses. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { SEGMENT_DISPUTE_FUEL_MIN } from "@xenoservers/market";
import { RUNS_FILE, parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { disputeResults, type MarketClient } from "@xenoservers/sdk";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { CHEATS, cheatingDriver, type GuestDriver } from "@xenoservers/xenoserver";
import { joinedJob } from "../../packages/sdk/src/joined-job.ts";
import { ENGINE_VERSION } from "@xenoservers/engine";
import { mixing, moduleJob } from "../process/jobs.ts";
import { loggedReceipt, orderAndFollow, startMarket, type TestMarket } from "../process/market.ts";

const STAKE = 1_000_000_000n;
const FUEL = 1_000_000_000_000n;
const BUDGET = 100_000_000n;

let market: TestMarket;
let work: Uint8Array;

async function stakedOwner(name: string): Promise<MarketClient> {
  const owner = await market.newParty(name, (2n * STAKE).toString());
  await owner.act("stake", { party: owner.identity.party, amountNanos: STAKE.toString(), direction: "deposit", clientId: owner.newId() });
  return owner;
}

beforeAll(async () => {
  // together so long that one run alone would be judged by a part of it
  work = await mixing(150_000_000);
  market = await startMarket();
  const daemon = await market.addServer("referee", await market.newParty("the operator's"));
  await market.operator("referee", { server: daemon.server.id, active: true, clientId: "ab".repeat(16) });
});
afterAll(() => market.close());

async function rent(name: string, wrapDriver: (driver: GuestDriver) => GuestDriver) {
  const owner = await stakedOwner(name);
  const { server } = await market.addServer(name, owner, { wrapDriver });
  const jobs = ["one", "two"].map((word) => moduleJob(work, { fuelMax: FUEL, args: ["job", word] }));
  const job = joinedJob(jobs, ENGINE_VERSION);
  const run = await orderAndFollow(market.customer, job, {
    conditions: [{ key: "server", op: "=", value: server.id }],
    ...{ assurance: "replicated", fuelMax: FUEL, budgetNanos: BUDGET },
  });
  const { lease, delivered, files } = await run.end();
  return { owner, job, lease, delivered, files, order: await orderOf(lease.id) };
}

async function orderOf(lease: string): Promise<Payload<"order">> {
  const receipt = await loggedReceipt(market.customer, lease);
  const order = parseDocumentOf(nodeCrypto, "order", receipt.documents.find(({ kind }) => kind === "order")!.envelope);
  if (!order.ok) throw new Error("no order");
  return order.document.payload;
}

it("takes nothing from an owner whose result was right, however long it was", async () => {
  const { job, lease, delivered, order } = await rent("honest", (driver) => driver);
  expect(lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
  expect(BigInt(delivered!.result.fuel)).toBeGreaterThan(SEGMENT_DISPUTE_FUEL_MIN);
  const { verdicts, segment } = await disputeResults(market.customer, [lease.id], order, job, BUDGET, () =>
    Promise.reject(new Error("never")),
  );
  expect([verdicts.get(lease.id), segment]).toEqual([null, null]);
});

it("convicts an owner that changes what it printed", async () => {
  const { owner, job, lease, order } = await rent("prints", (driver) => cheatingDriver(CHEATS["wrong-output"]!, driver));
  const { verdicts } = await disputeResults(market.customer, [lease.id], order, job, BUDGET);
  expect(verdicts.get(lease.id)).toMatchObject({ owner: owner.identity.party, why: expect.stringContaining("standard output") as string });
});

/** What the second run came to, said to be otherwise in the list of all. */
function lyingAboutRuns(driver: GuestDriver): GuestDriver {
  let list = Buffer.alloc(0);
  const digest = () => createHash("sha256").update(list).digest("hex");
  return {
    ...driver,
    async prepare(job) {
      const prepared = await driver.prepare(job);
      return {
        ...prepared,
        async begin() {
          const guest = await prepared.begin();
          const ended = guest.ended.then(async (end) => {
            if (end.kind !== "result") return end;
            const [first, ...rest] = end.tree;
            if (first?.kind !== "file" || first.path !== RUNS_FILE) return end;
            const honest = Buffer.from(await guest.readOutput(first.digest, 0, first.size)).toString();
            list = Buffer.from(honest.replace(/"exitCode":0(?=[^{]*$)/, '"exitCode":1'));
            return { ...end, tree: [{ ...first, digest: digest(), size: list.length }, ...rest] };
          });
          const readOutput: typeof guest.readOutput = async (of, offset, length) =>
            of === digest() ? list.subarray(offset, offset + length) : guest.readOutput(of, offset, length);
          return { ...guest, ended, readOutput };
        },
      };
    },
  };
}

it("convicts an owner that lies about the end of one of them", async () => {
  const { owner, job, lease, files, order } = await rent("lists", lyingAboutRuns);
  expect((JSON.parse(files[RUNS_FILE]!) as { exitCode: number }[]).map(({ exitCode }) => exitCode)).toEqual([0, 1]);
  const { verdicts } = await disputeResults(market.customer, [lease.id], order, job, BUDGET);
  expect(verdicts.get(lease.id)).toMatchObject({ owner: owner.identity.party });
});
