/**
 * A lease of a trivial wasm job through the SDK: order sent → output received → settled; beside a fresh `node` process that runs the same module
 * with `node:wasi`. One after another and 16 at a time; jobs per second; and what the idle programs take of memory.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { openSync, writeSync, fdatasyncSync, closeSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import wabtInit from "wabt";
import { ENGINE_VERSION } from "@xenoservers/guests";
import type { LinkEvent } from "@xenoservers/protocol/link";
import {
  LeaseSession,
  MarketClient,
  buildJob,
  bytesBlob,
  checkBound,
  fetchMarket,
  identityOf,
  openLink,
  pinsOf,
  signOrder,
  untilBound,
} from "@xenoservers/sdk";
import { until, wanted } from "../test/process/market.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const run = promisify(execFile);
const LEASES = 200;
const AT_ONCE = 16;
const AT_ONCE_TOTAL = 160;
const CLI = path.resolve("packages/cli/bin/xeno.js");

/** Prints one line and ends. */
const HELLO = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 6))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`;

const PEER = path.join(import.meta.dirname, "lib/peer.mjs");

async function timed<T>(work: () => Promise<T>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

async function many(total: number, atOnce: number, work: () => Promise<unknown>): Promise<{ each: number[]; totalMs: number }> {
  const each: number[] = [];
  let left = total;
  const totalMs = await timed(() =>
    Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (left-- > 0) each.push(await timed(work));
      }),
    ),
  );
  return { each, totalMs };
}

const residentMib = async (pid: number): Promise<number> =>
  Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))![1]) / 1024;

/** A market in processes of its own, as operators and owners run it. */
async function startProcesses(folder: string) {
  const children: ChildProcess[] = [];
  const start = async (args: string[], who: string, toml?: string): Promise<ChildProcess> => {
    if (toml !== undefined)
      await mkdir(args[args.indexOf("--data") + 1]!, { recursive: true }).then(() =>
        writeFile(path.join(args[args.indexOf("--data") + 1]!, "xenoserver.toml"), toml),
      );
    const child = spawn(process.execPath, [CLI, ...args], {
      env: { ...process.env, XENO_HOME: path.join(folder, who), LOG_LEVEL: "silent" },
      stdio: ["ignore", "pipe", "ignore"],
    });
    children.push(child);
    let text = "";
    child.stdout!.on("data", (chunk: Buffer) => (text += chunk.toString()));
    await until(() => text.includes("\n"));
    return child;
  };
  const xeno = async (who: string, ...args: string[]): Promise<string> =>
    (await run(process.execPath, [CLI, ...args], { env: { ...process.env, XENO_HOME: path.join(folder, who) } })).stdout.trim();
  const url = `http://127.0.0.1:${41_000 + (process.pid % 10_000)}`;
  const broker = await start(["broker", "--data", path.join(folder, "broker"), "--port", new URL(url).port], "operator");
  await xeno("owner", "login", url, "--yes");
  let servers = 0;
  return {
    url,
    broker,
    async addServer(): Promise<ChildProcess> {
      const token = await xeno("owner", "token", "create", "--server");
      return start(["serve", "--data", path.join(folder, `server${++servers}`), "--enrol", token], "owner", "pool = 4\n");
    },
    /** A customer with credit. */
    async customer(): Promise<MarketClient> {
      const pins = pinsOf(await fetchMarket(url));
      const client = new MarketClient(url, pins, identityOf(randomBytes(32)));
      await client.act("party", {
        party: client.identity.party,
        name: "bench",
        rootKey: client.identity.signer.publicKey,
        recoveryKey: null,
      });
      await xeno("owner", "broker", "credit", client.identity.party, "100", "--data", path.join(folder, "broker"));
      return client;
    },
    stop: () => children.forEach((child) => child.kill("SIGKILL")),
  };
}
type Processes = Awaited<ReturnType<typeof startProcesses>>;

async function memory(figures: Figure[], market: Processes, first: ChildProcess): Promise<void> {
  const bare = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const peer = { peer: "an idle node process", peerValue: await residentMib(bare.pid!) };
  bare.kill();
  const before = await residentMib(market.broker.pid!);
  figures.push(report("idle broker, resident", before, "MiB", peer, null));
  figures.push(report("idle xenoserver, resident", await residentMib(first.pid!), "MiB", peer, null));
  for (let i = 0; i < 4; i++) await market.addServer();
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  figures.push(report("broker per connected server", Math.max(0, ((await residentMib(market.broker.pid!)) - before) / 4), "MiB", null, 5));
}

export async function lease(): Promise<Figure[]> {
  const figures: Figure[] = [];
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-bench-"));
  const market = await startProcesses(folder);
  try {
    const first = await market.addServer();
    const customer = await market.customer();
    const sync = openSync(path.join(folder, "sync"), "w");
    const syncs = await timed(async () => {
      for (let i = 0; i < 200; i++) {
        writeSync(sync, "x".repeat(512));
        fdatasyncSync(sync);
      }
    });
    closeSync(sync);
    figures.push(report("the disk's own fdatasync", 200_000 / syncs, "per second", null, null));
    const bytes = Buffer.from((await wabtInit()).parseWat("hello.wat", HELLO).toBinary({}).buffer);
    const file = path.join(folder, "hello.wasm");
    await writeFile(file, bytes);
    const job = () =>
      buildJob({
        module: bytesBlob(bytes),
        args: ["hello"],
        env: [],
        mounts: [],
        stdin: bytesBlob(new Uint8Array()),
        engine: ENGINE_VERSION,
        memoryMibMax: 16,
        diskMibMax: 1,
        outputMibMax: 1,
        fuelMax: 10n ** 15n,
      });
    const sessions = new Set<LeaseSession>();
    const rings = new Set<() => void>();
    const hint = (event?: LinkEvent) => {
      for (const session of sessions) session.hint(event);
      for (const ring of rings) ring();
    };
    const link = openLink(customer, { onUp: () => hint(), onEvent: hint });
    const rent = () => rentOnce(customer, job(), link, { sessions, rings });
    const peer = async () => {
      const { stdout } = await run(process.execPath, ["--no-warnings", PEER, file]);
      if (stdout !== "hello\n") throw new Error("the peer printed something else");
    };
    await many(10, 1, rent);
    await many(5, 1, peer);
    const one = await many(LEASES, 1, rent);
    const onePeer = await many(LEASES, 1, peer);
    const against = (q: number, values: number[]) => ({ peer: "fresh node with node:wasi", peerValue: quantile(values, q) });
    figures.push(report("lease of a trivial job, p50", quantile(one.each, 0.5), "ms", against(0.5, onePeer.each), 1.5));
    figures.push(report("lease of a trivial job, p99", quantile(one.each, 0.99), "ms", against(0.99, onePeer.each), null));
    const batch = await many(AT_ONCE_TOTAL, AT_ONCE, rent);
    const batchPeer = await many(AT_ONCE_TOTAL, AT_ONCE, peer);
    figures.push(report("lease, 16 at a time, p50", quantile(batch.each, 0.5), "ms", against(0.5, batchPeer.each), null));
    figures.push(
      report(
        "time per job, 16 at a time",
        batch.totalMs / AT_ONCE_TOTAL,
        "ms",
        { peer: "fresh node with node:wasi", peerValue: batchPeer.totalMs / AT_ONCE_TOTAL },
        null,
      ),
    );
    figures.push(report("jobs per second, pool warm", 1_000 / (batch.totalMs / AT_ONCE_TOTAL), "per second", null, null));
    link.stop();
    await memory(figures, market, first);
  } finally {
    market.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
  return figures;
}

async function rentOnce(
  client: MarketClient,
  job: ReturnType<typeof buildJob>,
  link: ReturnType<typeof openLink>,
  { sessions, rings }: { sessions: Set<LeaseSession>; rings: Set<() => void> },
): Promise<void> {
  const resources = { vcpu: 1, memoryMib: 64, diskMib: 1 };
  const market = await client.market();
  const order = signOrder(client, market, wanted({ resources }), job.jobHash);
  const answer = await link.submit(order.envelope, undefined, true);
  if (!answer.ok) throw new Error(`${answer.code} ${JSON.stringify(answer.facts)}`);
  const hears = (ring: () => void) => {
    rings.add(ring);
    return () => void rings.delete(ring);
  };
  const bound =
    "waiting" in answer.answer
      ? await untilBound(client, order, { hears })
      : checkBound(client, order, answer.answer["purchaseOrder"], answer.answer["grants"] as unknown[], client.brokerNow());
  let output = "";
  const session = new LeaseSession(
    client,
    bound,
    job,
    { onOutput: (_stream, bytes) => void (output += Buffer.from(bytes).toString()) },
    link,
  );
  sessions.add(session);
  const [settled] = await Promise.all([session.settled(), session.delivered()]);
  sessions.delete(session);
  session.close();
  if (output !== "hello\n" || settled.end?.reason !== "completed")
    throw new Error(`a lease ended with ${settled.end?.reason} and ${JSON.stringify(output)}`);
}
