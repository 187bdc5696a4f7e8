/** Long jobs before the referee: it runs one segment, and that convicts whoever signed a wrong state; silence costs the pay, never the stake. */
import { mkdtemp, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { moneyKey, traceStep } from "@xenoservers/market";
import { parseDocumentOf, rootAccountOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { disputeResults, type BuiltJob, type Trace } from "@xenoservers/sdk";
import { verifyReceipt } from "@xenoservers/verify";
import { CHEATS, cheatingDriver, createWasmDriver, type GuestDriver } from "@xenoservers/xenoserver";
import { assembled, moduleJob, saying } from "../process/jobs.ts";
import { loggedReceipt, orderAndFollow, startMarket, type TestMarket } from "../process/market.ts";
import { cases, thoroughly } from "../thorough.ts";
import { until } from "../until.ts";

const STAKE = 1_000_000_000n;
const FUEL = 1_000_000_000_000n;
const BUDGET = 100_000_000n;

let market: TestMarket;
let referee: string;
let module: Uint8Array;

/** Some ten seconds of a guest's clock: mixes a megabyte with what it draws, and prints a word of it. */
const LONG = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 18)
  (func (export "_start") (local $i i32) (local $x i32)
    (drop (call $random (i32.const 16) (i32.const 4)))
    (local.set $x (i32.load (i32.const 16)))
    (local.set $i (i32.const 300000000))
    (loop $again
      (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
      (i32.store offset=65536 (i32.and (local.get $x) (i32.const 0xffffc)) (i32.add (i32.load offset=65536 (i32.and (local.get $i) (i32.const 0xffffc))) (local.get $x)))
      (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 8))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;

/** The same of a moment's work. */
const short = (): Promise<Uint8Array> => assembled(LONG.replace("300000000", "3000000"));
const longJob = (): BuiltJob => moduleJob(module, { mounts: [], fuelMax: FUEL });

async function serverOf(name: string, wrapDriver?: (driver: GuestDriver) => GuestDriver) {
  const owner = await market.newParty(name, (2n * STAKE).toString());
  await owner.act("stake", { party: owner.identity.party, amountNanos: STAKE.toString(), direction: "deposit", clientId: owner.newId() });
  const { server } = await market.addServer(name, owner, wrapDriver ? { wrapDriver } : {});
  return { id: server.id, owner, server };
}

async function rent(server: string, job: BuiltJob, budgetNanos = BUDGET) {
  const run = await orderAndFollow(market.customer, job, {
    conditions: [{ key: "server", op: "=", value: server }],
    assurance: "replicated",
    fuelMax: FUEL,
    budgetNanos,
  });
  const { lease } = await run.end();
  const receipt = await loggedReceipt(market.customer, lease.id);
  const order = parseDocumentOf(nodeCrypto, "order", receipt.documents.find(({ kind }) => kind === "order")!.envelope);
  if (!order.ok) throw new Error("no order");
  return { lease, order: order.document.payload };
}
const balanceOf = async (party: string, bucket: "available" | "pending" | "staked" | "locked") => {
  const key = moneyKey(rootAccountOf(party), bucket);
  return (await market.broker.store.balances([key])).get(key) ?? 0n;
};

beforeAll(async () => {
  module = await assembled(LONG);
  market = await startMarket();
  const daemon = await market.addServer("referee", await market.newParty("the operator's"));
  referee = daemon.server.id;
  await market.operator("referee", { server: referee, active: true, clientId: "ab".repeat(16) });
});
afterAll(() => market.close());

/** Same states as the honest ones up to a point, then a run of its own. */
const liesFrom =
  (index: number) =>
  (driver: GuestDriver): GuestDriver => ({
    ...driver,
    async prepare(job) {
      const prepared = await driver.prepare(job);
      return {
        ...prepared,
        async begin() {
          const guest = await prepared.begin();
          const ended = guest.ended.then((end) => {
            if (end.kind !== "result") return end;
            const roots = end.roots?.map((root, i) => (i + 1 < index ? root : "66".repeat(32))) ?? null;
            return { ...end, roots, memoryHash: "55".repeat(32) };
          });
          return { ...guest, ended };
        },
      };
    },
  });

const LIES: [name: string, segment: number, wrap: (driver: GuestDriver) => GuestDriver][] = [
  ["goes wrong in the middle", 50, liesFrom(50)],
  ["differs from another's from the beginning", 1, cheatingDriver.bind(null, CHEATS["other-seed"]!)],
];

it.each(LIES.slice(0, cases(1, LIES.length)))(
  "convicts the one of two servers whose run %s, by one segment",
  async (name, expected, wrapDriver) => {
    const job = longJob();
    const [honest, cheat] = [await serverOf(`honest ${expected}`), await serverOf(`cheat ${expected}`, wrapDriver)];
    const [right, wrong] = [await rent(honest.id, job), await rent(cheat.id, job)];
    expect([right.lease.end?.reason, wrong.lease.end?.reason]).toEqual(["completed", "completed"]);
    const most = Math.max(...[right, wrong].map(({ lease }) => Number(lease.end!.billableFuel)));
    const step = traceStep(BigInt(most), wrong.order.resources.memoryMib).toString();
    await market.customer.act("trace-request", { lease: wrong.lease.id, party: market.customer.identity.party, step }); // a dispute that broke off
    const { segment, verdicts, refereeLease } = await disputeResults(
      market.customer,
      [wrong.lease.id, right.lease.id],
      wrong.order,
      job,
      BUDGET,
    );
    expect(segment?.index, name).toBe(expected);
    expect(segment!.of).toBeGreaterThan(100);
    expect(verdicts.get(right.lease.id)).toBeNull();
    expect(verdicts.get(wrong.lease.id)).toMatchObject({
      owner: cheat.owner.identity.party,
      segment: expected,
      slashedNanos: wrong.lease.stakeNanos,
    });
    const judged = (await market.customer.read("lease", { params: { id: refereeLease } })).end!;
    expect(judged).toMatchObject({ reason: "segment-end", blame: "nobody" });
    expect(BigInt(judged.billableFuel) * 50n).toBeLessThan(BigInt(right.lease.end!.billableFuel));
    expect(await balanceOf(cheat.owner.identity.party, "staked")).toBe(STAKE - BigInt(wrong.lease.stakeNanos));
    const receipt = await loggedReceipt(market.customer, wrong.lease.id);
    const ruling = parseDocumentOf(nodeCrypto, "result", verdicts.get(wrong.lease.id)!.ruling);
    if (!ruling.ok) throw new Error("no ruling");
    const { stateRoot } = ruling.document.payload;
    const own = { ...ruling.document.payload, jobHash: wrong.order.jobHash, fuel: 0n, rootAt: () => stateRoot };
    const verdictLine = (reExecuted?: typeof own) =>
      verifyReceipt(nodeCrypto, market.customer.pins, receipt, reExecuted ? { reExecuted } : {}).lines.find(
        ({ check }) => check === "verdict",
      );
    expect(verdictLine()).toMatchObject({ status: "claimed" });
    expect(verdictLine(own)).toMatchObject({ status: "proved" });
    expect(verdictLine({ ...own, rootAt: () => "77".repeat(32) })).toMatchObject({ status: "failed" });
  },
);

it("takes the pay, and no stake, of a server that does not answer", async () => {
  const silent = (driver: GuestDriver): GuestDriver => ({
    ...driver,
    prepare: (job) => (job.trace !== null ? Promise.reject(new Error("not today")) : driver.prepare(job)),
  });
  const { id, owner } = await serverOf("silent", silent);
  const job = longJob();
  const { lease } = await rent(id, job);
  const { party } = market.customer.identity;
  const [before, lockedBefore] = [await balanceOf(party, "available"), await balanceOf(party, "locked")];
  await market.customer.act("trace-request", { lease: lease.id, party, step: BigInt(lease.end!.billableFuel).toString() });
  expect(await balanceOf(party, "locked")).toBeGreaterThan(lockedBefore + BigInt(lease.end!.dueNanos));
  const row = (await market.broker.store.load("lease", [lease.id])).get(lease.id)!;
  const asked = row.data.trace;
  if (!asked) throw new Error("no trace was asked for");
  // a request of a day ago: its deadline has passed, and no gap stretches it
  const due = { ...row.data, trace: { ...asked, at: asked.at - 86_400_000 }, deadlineAt: 1 };
  await market.broker.store.commit([
    {
      id: "time passes",
      answer: {},
      uniques: [],
      floors: [],
      transfers: [],
      documents: [],
      events: [],
      puts: [{ kind: "lease", id: lease.id, expect: row.version, data: due }],
    },
  ]);
  await market.broker.desk.runTimers();
  expect((await market.customer.read("lease", { params: { id: lease.id } })).state).toBe("final");
  expect(await balanceOf(party, "available")).toBe(before + BigInt(lease.end!.dueNanos));
  expect([
    await balanceOf(party, "locked"),
    await balanceOf(owner.identity.party, "staked"),
    await balanceOf(owner.identity.party, "available"),
  ]).toEqual([lockedBefore, STAKE, STAKE]);
});

it("refuses a state as the result of a whole job", async () => {
  const asSegment = (driver: GuestDriver): GuestDriver => ({
    ...driver,
    async prepare(job) {
      const prepared = await driver.prepare(job);
      return {
        ...prepared,
        async begin() {
          const guest = await prepared.begin();
          return {
            ...guest,
            ended: guest.ended.then((end) => (end.kind === "result" ? { ...end, reason: "segment-end", stateRoot: "66".repeat(32) } : end)),
          };
        },
      };
    },
  });
  const { id, server } = await serverOf("segment", asSegment);
  const run = await orderAndFollow(market.customer, moduleJob(await saying("hi"), { fuelMax: FUEL }), {
    conditions: [{ key: "server", op: "=", value: id }],
    fuelMax: FUEL,
    budgetNanos: BUDGET,
  });
  const { lease } = run.session;
  await until(() => server.state.leases.some((each) => each.lease === lease && each.stage === "over")); // its result was refused
  const { state, end } = await market.customer.read("lease", { params: { id: lease } });
  run.session.close();
  expect([state, end]).toEqual(["open", null]);
});

const ENDS = ["budget", "customer-stop"] as const;

/** The job's states as they are here. */
async function traced({ spec, inputs, blobs }: BuiltJob, step: bigint, upTo: bigint | null): Promise<Trace> {
  const folder = await mkdtemp(path.join(market.folder, "states-"));
  const driver = await createWasmDriver({ folder, cache: path.join(folder, "prepared"), poolSize: 0, inUse: [] });
  const blobFile = (digest: string): string => path.join(folder, digest);
  for (const { digest, size, read } of blobs.values()) await writeFile(blobFile(digest), await read(0, size));
  const prepared = await driver.prepare({
    ...{ lease: "again", customer: "local", spec, inputs, vcpu: 1, blobFile, runMsMax: 600_000 },
    ...{ fuelMax: upTo ?? FUEL, breakpoints: { kind: "trace", step: step.toString() } },
  });
  const guest = await prepared.begin();
  const end = await guest.ended;
  if (end.kind !== "result" || !end.roots) throw new Error("no trace");
  return {
    roots: end.roots,
    read: (digest) => guest.readOutput(digest, 0, 2 ** 30),
    close: () => guest.dispose().then(() => driver.close()),
  };
}

/** Jobs that do not end by themselves: one works on, the other can be stopped. */
const UNENDING: Readonly<Record<(typeof ENDS)[number], string>> = {
  budget: LONG.replace("(br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1))))", "(br $again)"),
  "customer-stop": LONG.replace(/\)\)\)$/, ") (loop $more (drop (call $random (i32.const 16) (i32.const 4))) (br $more))))"),
};

it.each(ENDS.slice(0, cases(0, ENDS.length)))(
  "has a referee run one segment of a job that ended with %s: where it lied it is convicted, where not it is paid",
  async (reason) => {
    const job = moduleJob(await assembled(UNENDING[reason]), { mounts: [], fuelMax: FUEL });
    const [honest, cheat] = [await serverOf(`honest ${reason}`), await serverOf(`cheat ${reason}`, liesFrom(3))];
    for (const { id, owner } of [cheat, honest]) {
      const budgetNanos = reason === "budget" ? 8_000n : BUDGET;
      const run = await orderAndFollow(market.customer, job, {
        ...{ conditions: [{ key: "server", op: "=" as const, value: id }], assurance: "replicated" as const },
        ...{ fuelMax: FUEL, budgetNanos },
      });
      if (reason === "customer-stop") {
        await until(() => run.seen.stdout.length > 0);
        await market.customer.act("stop", { lease: run.session.lease, party: market.customer.identity.party, reason: "enough" });
      }
      const { lease } = await run.end();
      expect(lease.end).toMatchObject({ reason, blame: "customer" });
      const { documents } = await loggedReceipt(market.customer, lease.id);
      const order = parseDocumentOf(nodeCrypto, "order", documents.find(({ kind }) => kind === "order")!.envelope);
      if (!order.ok) throw new Error("no order");
      const here = async (step: bigint, upTo: bigint | null) => traced(job, step, upTo);
      const { segment, verdicts } = await disputeResults(market.customer, [lease.id], order.document.payload, job, BUDGET, here);
      expect(segment).not.toBeNull();
      const verdict = verdicts.get(lease.id);
      if (id === honest.id) expect([verdict, segment?.index]).toEqual([null, segment?.of]);
      else expect(verdict).toMatchObject({ segment: 3, owner: owner.identity.party });
    }
  },
);

// last: it leaves two doubts, for each of which the referee keeps room
thoroughly("has the same states whatever budget paid for the run: no order can be made to convict an honest server", async () => {
  const { id } = await serverOf("the same");
  const job = moduleJob(await short(), { mounts: [], fuelMax: FUEL });
  const { party } = market.customer.identity;
  const rootsOf = async (budgetNanos: bigint): Promise<string[]> => {
    const { lease } = await rent(id, job, budgetNanos);
    const step = (BigInt(lease.end!.billableFuel) / 20n).toString();
    await market.customer.act("trace-request", { lease: lease.id, party, step });
    let roots: string[] = [];
    await until(async () => {
      const { documents } = await loggedReceipt(market.customer, lease.id);
      const trace = parseDocumentOf(nodeCrypto, "trace", documents.find(({ kind }) => kind === "trace")?.envelope);
      if (trace.ok) ({ roots } = trace.document.payload);
      return trace.ok;
    });
    return roots;
  };
  const ample = await rootsOf(BUDGET);
  expect(ample.length).toBeGreaterThan(15);
  expect(await rootsOf(1_000n)).toEqual(ample);
});
