/** How jobs end by themselves, through the whole market: every reason with its money. */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { LeaseSession, bytesBlob, fetchBound, signOrder } from "@xenoservers/sdk";
import { orderAndFollow, pythonJob, startMarket, until, wanted, type TestMarket } from "./market.ts";

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket({
    market: { timings: { acceptWithinMs: 3_000, startWithinMs: 2_000, claimIntervalMs: 300, graceMs: 3_000, disputeWindowMs: 500 } },
  });
});
afterAll(() => market.close());
afterEach(({ task }) => {
  if (task.result?.state === "fail") console.error(market.log.slice(-20).join("\n"));
});

/** Python that works for about so many seconds. */
const busy = (seconds: number) => `import time\nstart = time.monotonic()\nwhile time.monotonic() - start < ${seconds}: pass`;
const OUT = "open('/out/kept','w').write('kept')\n";

it("ends at the time limit and at the end of the budget, with what was written so far", async () => {
  const loop = await pythonJob(`${OUT}print('go', flush=True)\nwhile True: pass`);
  const [timed, budgeted] = await Promise.all([
    orderAndFollow(market.customer, loop, { durationMsMax: 1_500 }).then((run) => run.end()),
    orderAndFollow(market.customer, loop, { durationMsMax: 3_600_000, budgetNanos: 20_000n }).then((run) => run.end()),
  ]);
  expect(timed).toMatchObject({
    stdout: "go\n",
    files: { "out/kept": "kept" },
    lease: { end: { reason: "time-limit", blame: "customer", billableMs: 1_500, exitCode: null } },
  });
  expect(budgeted).toMatchObject({ files: { "out/kept": "kept" }, lease: { end: { reason: "budget", blame: "customer" } } });
  expect(BigInt(budgeted.lease.end!.dueNanos) <= 20_000n).toBe(true);
});

it("ends at the output limit, at the memory limit, and for a module that is none", async () => {
  const output = await (await orderAndFollow(market.customer, await pythonJob(`${OUT}while True: print('x' * 4096)`, { outputMibMax: 1 }))).end();
  expect(output).toMatchObject({ files: { "out/kept": "kept" }, lease: { end: { reason: "output-limit" } } });
  expect(output.stdout).toHaveLength(1024 * 1024);
  const malformed = await (await orderAndFollow(market.customer, await pythonJob("", { module: bytesBlob(new TextEncoder().encode("not wasm")) }))).end();
  expect(malformed.lease.end).toMatchObject({ reason: "module-malformed", blame: "customer", exitCode: null });
});

it("stops when the customer says so, and bills no more than until then", async () => {
  const run = await orderAndFollow(market.customer, await pythonJob(`${OUT}print('go', flush=True)\nwhile True: pass`), { terms: "by-interval" });
  await until(() => run.seen.stdout.includes("go"));
  await market.customer.act("stop", { lease: run.session.lease, party: market.customer.identity.party, reason: "enough" });
  expect(await run.end()).toMatchObject({ files: { "out/kept": "kept" }, lease: { end: { reason: "customer-stop", blame: "customer" } } });
});

it("goes on without its customer, who finds everything later", async () => {
  const run = await orderAndFollow(market.customer, await pythonJob(`${OUT}${busy(1)}\nprint('done')`));
  await until(() => run.seen.states.includes("running"));
  run.session.close();
  await until(async () => (await market.customer.read("lease", { params: { id: run.session.lease } })).end !== null);
  let text = "";
  const later = new LeaseSession(market.customer, await fetchBound(market.customer, run.session.lease), null, {
    onOutput: (_, bytes) => void (text += Buffer.from(bytes).toString()),
  });
  const delivered = await later.delivered();
  expect(text).toBe("done\n");
  expect(delivered?.tree.map((entry) => entry.path)).toEqual(["out/kept"]);
  later.close();
});

it("charges the cancellation minimum when the inputs never come, and frees the slot", async () => {
  const before = BigInt((await market.customer.read("accounts")).balances.available);
  const order = signOrder(market.customer, wanted(), "ab".repeat(32));
  const answer = await market.customer.submit(order.envelope);
  const id = answer.ok ? String(answer.answer["lease"]) : "";
  await until(async () => (await market.customer.read("lease", { params: { id } })).end !== null, 20_000);
  const { end } = await market.customer.read("lease", { params: { id } });
  expect(end).toMatchObject({ reason: "input-missing", blame: "customer", billableMs: 0 });
  const { balances } = await market.customer.read("accounts");
  expect(BigInt(balances.available)).toBe(before - BigInt(end!.dueNanos));
  expect(balances.held).toBe("0");
});

it("runs nothing when the customer delivers other bytes than it ordered, and blames it", async () => {
  const job = await pythonJob("print('what was ordered')");
  const [entry] = job.inputs.entries;
  if (entry?.kind !== "file") throw new Error("no script");
  const honest = job.blobs.get(entry.digest)!;
  const other = new TextEncoder().encode("print('what was OR--RED')");
  job.blobs.set(entry.digest, { ...honest, read: async (offset, length) => other.subarray(offset, offset + length) });
  const run = await orderAndFollow(market.customer, job);
  const { lease, stdout } = await run.end();
  expect([lease.end?.reason, lease.end?.blame, stdout]).toEqual(["input-missing", "customer", ""]);
});

it("tells a link cut shorter than the grace from one that is longer", async () => {
  const { closeLink } = market;
  const short = await orderAndFollow(market.customer, await pythonJob(`${busy(2)}\nprint('ok')`));
  await until(() => short.seen.states.includes("running"));
  closeLink(500);
  expect((await short.end()).lease.end).toMatchObject({ reason: "completed", exitCode: 0 });
  const long = await orderAndFollow(market.customer, await pythonJob(busy(60)), { terms: "by-interval" });
  await until(() => long.seen.states.includes("running"));
  await new Promise((resolve) => setTimeout(resolve, 700));
  closeLink(8_000);
  const { end } = await long.session.settled();
  long.session.close();
  expect(end).toMatchObject({ reason: "server-unreachable", blame: "owner" });
  expect(end!.billableMs).toBeLessThan(2_000);
  await until(() => market.daemon.server.state.leases.every(({ lease, stage }) => lease !== long.session.lease || stage === "over"), 20_000);
});

it("leaves the books balanced and nothing held", async () => {
  const { balances, sums, liveHolds, held } = await market.broker.store.audit();
  expect([...balances].every(([key, amount]) => (sums.get(key) ?? 0n) === amount)).toBe(true);
  expect([...balances.values()].reduce((a, b) => a + b)).toBe(0n);
  expect([held, liveHolds]).toEqual([0n, 0n]);
});
