/** How jobs end by themselves, through the whole market: every reason with its money. Time passes where a test says so, and nowhere else. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { preparationFuel } from "@xenoservers/market";
import { fetchBound, openSession, signOrder } from "@xenoservers/sdk";
import { padded } from "../engine/padded.ts";
import { until } from "../until.ts";
import { TestClock } from "./clock.ts";
import { Gate, gated, type Gates } from "./gates.ts";
import { endless, greedy, mixing, moduleJob, pythonJob, saying, talkative } from "./jobs.ts";
import { orderAndFollow, startMarket, wanted, type TestMarket } from "./market.ts";
import { PATIENT } from "./settings.ts";
import { thoroughly } from "../thorough.ts";

const MINUTE_MS = 60_000;
const KEPT = { "out/kept": "kept" };
const clock = new TestClock();
const gates: Gates = { prepare: null, begin: null, begun: [] };

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket({ timers: clock, market: { timings: HEARD }, wrapDriver: (driver) => clock.wrapDriver(gated(gates)(driver)) });
});
afterAll(() => market.close());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.error(market.log.slice(-20).join("\n"));
});

/** Time that a test passes at once is no silence of the server. */
const HEARD = { ...PATIENT, claimIntervalMs: PATIENT.startWithinMs };
/** So much is no gap: a broker hears all the while. */
const STEP_MS = 4_000;
/** Time passes for all of them, and the broker is there. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    clock.advance(Math.min(STEP_MS, left));
    await market.broker.desk.hear();
  }
}
const leaseOf = (id: string) => market.customer.read("lease", { params: { id } });
/** The time in which the inputs may come passes. */
async function startByIsOver(id: string): Promise<void> {
  const listed = market.listedAgain();
  await pass((await rowOf(id)).startBy - clock.now() + MINUTE_MS);
  await listed;
}
const rowOf = async (id: string) => (await market.broker.store.load("lease", [id])).get(id)!.data;

it("ends at the time limit and where the budget pays for no more time, with what was written so far", async () => {
  const loop = moduleJob(await endless());
  const runs = await Promise.all([
    orderAndFollow(market.customer, loop, { durationMsMax: 10 * MINUTE_MS }),
    orderAndFollow(market.customer, loop, { terms: "by-interval", budgetNanos: 5_000_000n }),
  ]);
  for (const { seen } of runs) await until(() => seen.stdout.includes("go"));
  const listed = market.listedAgain();
  await pass(20 * MINUTE_MS); // less than the grace
  const [timed, budgeted] = await Promise.all(runs.map((run) => run.end()));
  const stopped = { stdout: "go\n", files: KEPT };
  expect(timed).toMatchObject({
    ...stopped,
    lease: { end: { reason: "time-limit", blame: "customer", billableMs: 10 * MINUTE_MS, exitCode: null } },
  });
  expect(budgeted).toMatchObject({ ...stopped, lease: { end: { reason: "budget", blame: "customer", exitCode: null } } });
  const { end, durationMsMax, holdNanos } = budgeted!.lease;
  expect(durationMsMax).toBeLessThan(20 * MINUTE_MS);
  expect([end!.billableMs, end!.dueNanos]).toEqual([durationMsMax, holdNanos]);
  expect(BigInt(holdNanos)).toBeLessThanOrEqual(5_000_000n);
  await listed;
});

it("ends where the budget pays for no more fuel, however long that took", async () => {
  const { lease, stdout, files } = await (await orderAndFollow(market.customer, moduleJob(await endless()), { budgetNanos: 600n })).end();
  expect([lease.end, stdout, files]).toMatchObject([
    { reason: "budget", blame: "customer", exitCode: null, billableFuel: lease.fuelMax },
    "go\n",
    KEPT,
  ]);
  expect(BigInt(lease.end!.dueNanos)).toBeLessThanOrEqual(600n);
});

it("is paid for making a module ready, as much where it was made before, and runs none whose making is not paid for", async () => {
  const job = moduleJob(padded(await saying("hi\n"), 2 ** 20));
  const price = preparationFuel(2 ** 20);
  const ends = [];
  for (let run = 0; run < 2; run++) ends.push((await (await orderAndFollow(market.customer, job)).end()).lease.end!);
  expect(ends.map(({ reason }) => reason)).toEqual(["completed", "completed"]);
  expect(ends[0]!.billableFuel).toBe(ends[1]!.billableFuel);
  expect(BigInt(ends[0]!.billableFuel)).toBeGreaterThan(price);
  const poor = await (await orderAndFollow(market.customer, job, { budgetNanos: 100n })).end();
  expect([poor.lease.end, poor.stdout]).toMatchObject([{ reason: "job-refused", blame: "customer", billableFuel: "0" }, ""]);
});

it("ends at the output limit, at the memory limit, and for a module that is none", async () => {
  const output = await (await orderAndFollow(market.customer, moduleJob(await talkative(), { outputMibMax: 1 }))).end();
  expect(output).toMatchObject({ files: KEPT, lease: { end: { reason: "output-limit", blame: "customer" } } });
  expect(output.stdout).toHaveLength(1024 * 1024);
  const memory = await (await orderAndFollow(market.customer, moduleJob(await greedy()))).end();
  expect(memory).toMatchObject({ files: KEPT, lease: { end: { reason: "memory-limit", blame: "customer" } } });
  const malformed = await (await orderAndFollow(market.customer, moduleJob(new TextEncoder().encode("not wasm")))).end();
  expect(malformed.lease.end).toMatchObject({ reason: "module-malformed", blame: "customer", exitCode: null });
});

it("stops when the customer says so, and bills no more than until then", async () => {
  const loop = await pythonJob("open('/out/kept','w').write('kept')\nprint('go', flush=True)\nwhile True: pass");
  const run = await orderAndFollow(market.customer, loop, { terms: "by-interval" });
  await until(() => run.seen.stdout.includes("go"));
  await market.customer.act("stop", { lease: run.session.lease, party: market.customer.identity.party, reason: "enough" });
  const { stop, openedAt } = await rowOf(run.session.lease);
  const { files, lease } = await run.end();
  expect([files, lease.end]).toMatchObject([KEPT, { reason: "customer-stop", blame: "customer" }]);
  expect(lease.end!.billableMs).toBeLessThanOrEqual((stop?.at ?? 0) - (openedAt ?? 0));
});

it("shows whoever looks later what was written so far, and says when that was all", async () => {
  const { customer } = market;
  const run = await orderAndFollow(customer, moduleJob(await endless()));
  await until(() => run.seen.stdout.includes("go"));
  let seen = "";
  const all = Promise.withResolvers<string>();
  const { session: later } = openSession(customer, await fetchBound(customer, run.session.lease), null, {
    onOutput: (_, part) => void (seen += Buffer.from(part).toString()),
    onShown: () => all.resolve(seen),
  });
  expect(await all.promise).toBe("go\n");
  later.close();
  await customer.act("stop", { lease: run.session.lease, party: customer.identity.party, reason: "enough" });
  expect((await run.end()).lease.end?.reason).toBe("customer-stop");
});

it("goes on without its customer, who finds everything later", async () => {
  const begin = (gates.begin = new Gate());
  const run = await orderAndFollow(market.customer, moduleJob(await mixing(1_000_000)));
  await begin.arrived;
  gates.begin = null;
  run.session.close();
  begin.open();
  await until(async () => (await leaseOf(run.session.lease)).end !== null);
  let bytes = 0;
  const bound = await fetchBound(market.customer, run.session.lease);
  const { session: later } = openSession(market.customer, bound, null, { onOutput: (_, part) => void (bytes += part.length) });
  const delivered = await later.delivered();
  expect(bytes).toBe(8);
  expect(delivered?.tree.map((entry) => entry.path)).toEqual(["out/kept"]);
  later.close();
});

thoroughly("is paid for a large result that nobody fetched: it lies in parts with the broker, and the server may go away", async () => {
  const begin = (gates.begin = new Gate());
  const source =
    "b = bytes(range(256)) * (20 << 12); open('/out/large', 'wb').write(b); open('/out/small', 'wb').write(b[:9]); print(len(b))";
  const run = await orderAndFollow(market.customer, await pythonJob(source));
  await begin.arrived;
  gates.begin = null;
  run.session.close();
  begin.open();
  const { lease } = run.session;
  await until(async () => (await leaseOf(lease)).end !== null);
  expect(await leaseOf(lease)).toMatchObject({ end: { reason: "completed", exitCode: 0 }, delivery: { by: "broker" } });
  expect(BigInt((await leaseOf(lease)).end?.ownerNanos ?? 0)).toBeGreaterThan(0n);
  expect(await market.broker.store.sealedDigests(lease)).toHaveLength(2);
  await market.cutLink();
  let printed = "";
  const bound = await fetchBound(market.customer, lease);
  const { session: later } = openSession(market.customer, bound, null, {
    onOutput: (_, part) => void (printed += String(Buffer.from(part))),
  });
  const delivered = await later.delivered();
  expect([delivered?.from, printed]).toEqual(["broker", "20971520\n"]);
  const files = (delivered?.tree ?? []).flatMap((entry) => (entry.kind === "file" ? [entry] : []));
  const [large, little] = await Promise.all(files.map((file) => later.fetch(file)));
  expect(large).toHaveLength(20 << 20);
  expect(large?.subarray(0, 9)).toEqual(little);
  later.close();
  await market.restoreLink();
});

it("charges the cancellation minimum when the inputs never come, and frees the slot", async () => {
  const { customer } = market;
  const before = BigInt((await customer.read("accounts")).balances.available);
  const order = signOrder(customer, await customer.market(), wanted(), "ab".repeat(32));
  const answer = await customer.submit(order.envelope);
  const id = answer.ok ? String(answer.answer["lease"]) : "";
  await until(async () => (await rowOf(id)).state === "open");
  await startByIsOver(id);
  await until(async () => (await leaseOf(id)).end !== null);
  const { end } = await leaseOf(id);
  expect(end).toMatchObject({ reason: "input-missing", blame: "customer", billableMs: 0 });
  const { balances } = await customer.read("accounts");
  expect(BigInt(end!.dueNanos)).toBeGreaterThan(0n);
  expect(BigInt(balances.available)).toBe(before - BigInt(end!.dueNanos));
  expect(balances.held).toBe("0");
});

it("runs nothing when the customer delivers other bytes than it ordered, and blames it", async () => {
  const job = moduleJob(await saying("what was ordered"));
  const other = await saying("what was OR--RED");
  const honest = job.blobs.get(job.spec.module)!;
  expect(other).toHaveLength(honest.size);
  job.blobs.set(honest.digest, { ...honest, read: async (offset, length) => other.subarray(offset, offset + length) });
  const run = await orderAndFollow(market.customer, job);
  const { lease, delivered, stdout } = await run.end();
  expect([lease.end?.reason, lease.end?.blame, stdout]).toEqual(["job-refused", "customer", ""]);
  expect(delivered?.result.detail).toContain("have another digest, each of 3 times");
});

it("hands in what ended while its link was cut, when the link is back", async () => {
  const begin = (gates.begin = new Gate());
  const run = await orderAndFollow(market.customer, moduleJob(await mixing(1_000_000)));
  await begin.arrived;
  gates.begin = null;
  await market.cutLink();
  const before = gates.begun.length;
  begin.open();
  await until(() => gates.begun.length > before);
  await gates.begun.at(-1)!.ended;
  await market.restoreLink();
  expect((await run.end()).lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
});

thoroughly(
  "is paid up to its last receipted claim when its server is not heard for longer than the grace, and its guest stands still",
  async () => {
    const run = await orderAndFollow(market.customer, moduleJob(await endless()), { terms: "by-interval" });
    const id = run.session.lease;
    await until(() => run.seen.stdout.includes("go"));
    await until(async () => {
      await pass(MINUTE_MS);
      return ((await rowOf(id)).lastClaim?.usedMs ?? 0) >= MINUTE_MS;
    });
    await market.cutLink();
    await until(async () => {
      await pass(MINUTE_MS);
      return market.log.some((line) => line.startsWith("guest paused") && line.includes(id));
    });
    await until(async () => {
      await pass(MINUTE_MS);
      return (await leaseOf(id)).end !== null;
    });
    const { end, lastClaim } = await rowOf(id);
    expect(end).toMatchObject({ reason: "server-unreachable", blame: "owner", billableMs: lastClaim!.usedMs });
    const restored = market.restoreLink();
    await pass(MINUTE_MS); // who was cut off for long tries again seldom
    await restored;
    await until(() => market.daemon.server.state.leases.every(({ lease, stage }) => lease !== id || stage === "over"));
    expect(await gates.begun.at(-1)!.ended).toMatchObject({ kind: "host-failure" });
    await run.session.settled();
    run.session.close();
  },
);

it("leaves the books balanced and nothing held", async () => {
  const { balances, sums, liveHolds, held } = await market.broker.store.audit();
  expect([...balances].every(([key, amount]) => (sums.get(key) ?? 0n) === amount)).toBe(true);
  expect([...balances.values()].reduce((a, b) => a + b)).toBe(0n);
  expect([held, liveHolds]).toEqual([0n, 0n]);
});
