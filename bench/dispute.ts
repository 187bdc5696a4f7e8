/**
 * A dispute over a job of 1e10 fuel, on a real market: rounds, bytes exchanged, and how much of the job the referee runs; the same of one
 * that takes a minute and more. And what audits cost on average, of an owner with a record and of one with a short one.
 */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { AUDIT_PPM_FLOOR, PPM, recordPpm } from "@xenoservers/market";
import { TRACE_ROOTS_MAX, parseDocumentOf, type Payload } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { bytesBlob, disputeResults, fetchReceipt, type BuiltJob } from "@xenoservers/sdk";
import { CHEATS, cheatingDriver } from "@xenoservers/xenoserver";
import { assembled, moduleJob } from "../test/process/jobs.ts";
import { orderAndFollow, pythonJob, startMarket, type TestMarket } from "../test/process/market.ts";
import { report, type Figure } from "./lib/report.ts";

const FUEL = 1_000_000_000_000n;
const BUDGET = 100_000_000n;
const STAKE = "100000000000";
/** A job of a minute and more, and what it may cost. */
const LONG = { rounds: 220, fuelMax: 8_000_000_000_000n, budgetNanos: 5_000_000_000n };
const LONG_MS_MIN = 60_000;
const VERDICT_BAR = 2;
/** 9e9 fuel. */
const MODULE = path.resolve("examples/mix.wasm");
const REFEREE_SHARE_BAR = 0.05;
const AUDIT_FLOOR = AUDIT_PPM_FLOOR / PPM;
const AUDIT_FLOOR_BAR = 0.01;
/** Right audits of an owner of whom one in ten is audited. */
const SHORT_RECORD = 36;
const SHORT_RECORD_BAR = 0.1;
const ROUNDS = 5;

async function serverOf(market: TestMarket, name: string, cheat?: string): Promise<string> {
  const owner = await market.newParty(name, `${STAKE}0`);
  await owner.act("stake", { party: owner.identity.party, amountNanos: STAKE, direction: "deposit", clientId: owner.newId() });
  const { server } = await market.addServer(name, owner, cheat ? { wrapDriver: (driver) => cheatingDriver(CHEATS[cheat]!, driver) } : {});
  return server.id;
}

async function rent(market: TestMarket, server: string, job: BuiltJob, { fuelMax, budgetNanos } = { fuelMax: FUEL, budgetNanos: BUDGET }) {
  const run = await orderAndFollow(market.customer, job, {
    conditions: [{ key: "server", op: "=", value: server }],
    assurance: "replicated",
    fuelMax,
    budgetNanos,
  });
  const { lease } = await run.end();
  const { documents } = await fetchReceipt(market.customer, lease.id, 10_000);
  const order = parseDocumentOf(nodeCrypto, "order", documents.find(({ kind }) => kind === "order")!.envelope);
  if (!order.ok) throw new Error("no order");
  return { lease, order: order.document.payload };
}

async function resultOf(market: TestMarket, lease: string): Promise<Payload<"result">> {
  const { documents } = await fetchReceipt(market.customer, lease, 10_000);
  const result = parseDocumentOf(nodeCrypto, "result", documents.find(({ kind }) => kind === "result")!.envelope);
  if (!result.ok) throw new Error("no result");
  return result.document.payload;
}
const traceBytes = async (market: TestMarket, lease: string): Promise<number> =>
  JSON.stringify((await fetchReceipt(market.customer, lease, 0)).documents.find(({ kind }) => kind === "trace")?.envelope ?? "").length;

/** The engine alone: one segment beside the whole job, in one process. */
async function alone(): Promise<Figure[]> {
  const script = path.join(import.meta.dirname, "lib/segment.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--no-warnings",
    "--stack-size=6144",
    script,
    MODULE,
    String(TRACE_ROOTS_MAX),
    String(ROUNDS),
  ]);
  const { wholeMs, traceMs, segmentMs, buildMs } = JSON.parse(stdout) as Record<string, number>;
  const peer = { peer: "the job, plain", peerValue: wholeMs! };
  return [
    report("dispute: one segment of 256, state restored, run and hashed", segmentMs!, "ms", peer, REFEREE_SHARE_BAR),
    report("dispute: the job with 256 breakpoints", traceMs!, "ms", peer, null),
    report("dispute: building the module with breakpoints", buildMs!, "ms", peer, null),
  ];
}

/** Mixes a megabyte three hundred million times, so often, and prints a word of it. */
const mixing = (rounds: number): Promise<Uint8Array> =>
  assembled(`(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 18)
    (func (export "_start") (local $i i32) (local $j i32) (local $x i32)
      (local.set $j (i32.const ${rounds}))
      (loop $round
        (local.set $i (i32.const 300000000))
        (loop $again
          (local.set $x (i32.add (i32.mul (local.get $x) (i32.const 1664525)) (i32.const 1013904223)))
          (i32.store offset=65536 (i32.and (local.get $x) (i32.const 0xffffc))
            (i32.add (i32.load offset=65536 (i32.and (local.get $i) (i32.const 0xffffc))) (local.get $x)))
          (br_if $again (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
        (br_if $round (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
      (i32.store (i32.const 0) (i32.const 65536)) (i32.store (i32.const 4) (i32.const 8))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`);

/** Two servers run it, of which one lies about its state: until the verdict over both is there. */
async function longOne(market: TestMarket, honest: string, cheat: string): Promise<Figure[]> {
  const job = moduleJob(await mixing(LONG.rounds), { mounts: [], fuelMax: LONG.fuelMax });
  const [right, wrong] = await Promise.all([rent(market, honest, job, LONG), rent(market, cheat, job, LONG)]);
  const whole = await resultOf(market, right.lease.id);
  if (whole.usedMs < LONG_MS_MIN) throw new Error(`the long job took ${whole.usedMs} ms only: more rounds`);
  const began = performance.now();
  const leases = [wrong.lease.id, right.lease.id];
  const { refereeLease, verdicts } = await disputeResults(market.customer, leases, wrong.order, job, LONG.budgetNanos);
  const took = performance.now() - began;
  if (!verdicts.get(wrong.lease.id) || verdicts.get(right.lease.id)) throw new Error("the wrong one was convicted");
  const { state } = await market.customer.read("lease", { params: { id: wrong.lease.id } });
  if (state !== "convicted") throw new Error("the pay did not come back");
  const ruling = await resultOf(market, refereeLease);
  const [fuel, time] = [
    { peer: "the job's", peerValue: Number(whole.fuel) },
    { peer: "the job's lease", peerValue: whole.usedMs },
  ];
  return [
    report("dispute of a job of a minute: the referee's fuel", Number(ruling.fuel), "fuel", fuel, REFEREE_SHARE_BAR),
    report("dispute of a job of a minute, from doubt to money", took, "ms", time, VERDICT_BAR),
  ];
}

export async function dispute(): Promise<Figure[]> {
  const figures = await alone();
  const market = await startMarket();
  try {
    const daemon = await market.addServer("referee", await market.newParty("the operator's"));
    await market.operator("referee", { server: daemon.server.id, active: true, clientId: "ab".repeat(16) });
    const [honest, cheat] = [await serverOf(market, "honest"), await serverOf(market, "cheat", "wrong-state")];
    const job = await pythonJob("", { module: bytesBlob(await readFile(MODULE)), args: ["mix"], mounts: [], fuelMax: FUEL });
    const [right, wrong] = [await rent(market, honest, job), await rent(market, cheat, job)];
    const began = performance.now();
    const { refereeLease, segment, verdicts } = await disputeResults(
      market.customer,
      [wrong.lease.id, right.lease.id],
      wrong.order,
      job,
      BUDGET,
    );
    const took = performance.now() - began;
    if (!verdicts.get(wrong.lease.id) || verdicts.get(right.lease.id)) throw new Error("the wrong one was convicted");
    const [ruling, whole] = [await resultOf(market, refereeLease), await resultOf(market, right.lease.id)];
    const bytes = (await traceBytes(market, wrong.lease.id)) + (await traceBytes(market, right.lease.id));
    figures.push(
      report("dispute of 1e10 fuel: rounds of roots", 1, "rounds", null, 6),
      report("dispute of 1e10 fuel: signed roots of both servers", bytes, "bytes", null, null),
      report("dispute of 1e10 fuel: the state that the referee begins from", segment!.stateBytes, "bytes", null, null),
      report(
        "dispute of 1e10 fuel: the referee's fuel",
        Number(ruling.fuel),
        "fuel",
        { peer: "the job's", peerValue: Number(whole.fuel) },
        REFEREE_SHARE_BAR,
      ),
      report("dispute of 1e10 fuel: the referee's lease", ruling.usedMs, "ms", { peer: "the job's lease", peerValue: whole.usedMs }, null),
      report("dispute of 1e10 fuel, from doubt to verdict", took, "ms", { peer: "the job's lease", peerValue: whole.usedMs }, null),
    );
    figures.push(...(await longOne(market, honest, cheat)));
    const audit = await disputeResults(market.customer, [(await rent(market, honest, job)).lease.id], right.order, job, BUDGET);
    const audited = (await market.customer.read("lease", { params: { id: audit.refereeLease } })).end!;
    const price = { peer: "the job's price", peerValue: Number(right.lease.end!.dueNanos) };
    const work = { peer: "the job's", peerValue: Number(whole.fuel) };
    const time = { peer: "the job's time", peerValue: whole.usedMs };
    const refereed = await resultOf(market, audit.refereeLease);
    const due = Number(audited.dueNanos);
    const shortRecord = recordPpm(SHORT_RECORD) / PPM;
    figures.push(
      report("audits of an owner with a record, expected price", AUDIT_FLOOR * due, "nanos", price, AUDIT_FLOOR_BAR),
      report("audits of an owner with a record, expected work", AUDIT_FLOOR * Number(refereed.fuel), "fuel", work, AUDIT_FLOOR_BAR),
      report("audits of an owner with a record, expected time", AUDIT_FLOOR * refereed.usedMs, "ms", time, null),
      report("audits of an owner with 36 right ones, expected price", shortRecord * due, "nanos", price, SHORT_RECORD_BAR),
    );
  } finally {
    await market.close();
  }
  return figures;
}
