/** Real processes, killed without warning: the broker, the xenoserver, the database. The job must end right, with the right money. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "./market.ts";

const CLI = path.resolve("packages/cli/bin/xeno.js");
const SCRIPT = path.resolve("test/process/slow.py");

let folder: string;
let broker: ChildProcess;
let server: ChildProcess;
let url: string;
const PORT = 20_000 + (process.pid % 20_000);

interface Done {
  code: number | null;
  stdout: string;
  stderr: string;
}

const env = (who: string) => ({ ...process.env, XENO_HOME: path.join(folder, who), LOG_LEVEL: "warn", DATABASE_URL: undefined });

function xeno(who: string, args: string[]): { child: ChildProcess; done: Promise<Done>; seen: Done } {
  const child = spawn(process.execPath, [CLI, ...args], { env: env(who), stdio: ["ignore", "pipe", "pipe"] });
  const seen: Done = { code: null, stdout: "", stderr: "" };
  child.stdout.on("data", (chunk: Buffer) => (seen.stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (seen.stderr += chunk.toString()));
  return { child, seen, done: new Promise((resolve) => child.on("close", (code) => resolve({ ...seen, code }))) };
}
async function ok(who: string, args: string[]): Promise<string> {
  const done = await xeno(who, args).done;
  if (done.code !== 0) throw new Error(`xeno ${args.join(" ")}: ${done.code}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}
async function startBroker(): Promise<ChildProcess> {
  const { child, seen } = xeno("operator", ["broker", "--data", path.join(folder, "broker"), "--port", String(PORT), "--json"]);
  await until(() => seen.stdout.includes("url"), 30_000).catch(() => {
    throw new Error(seen.stderr);
  });
  url = (JSON.parse(seen.stdout) as { url: string }).url;
  return child;
}
async function startServer(): Promise<ChildProcess> {
  const { child, seen } = xeno("owner", ["serve", "--data", path.join(folder, "server")]);
  await until(() => seen.stdout.includes("serves"), 30_000).catch(() => {
    throw new Error(seen.stderr);
  });
  await until(async () => (await ok("customer", ["search", "--json"])).includes('"server":"s_'), 20_000);
  return child;
}
const kill9 = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-kill-"));
  broker = await startBroker();
  for (const who of ["customer", "owner"]) await ok(who, ["login", url, "--yes", "--name", who, "--context", "test"]);
  const { party } = JSON.parse(await ok("customer", ["whoami", "--json"])) as { party: string };
  await ok("customer", ["broker", "credit", party, "10", "--data", path.join(folder, "broker")]);
  const token = (await ok("owner", ["token", "create", "--server"])).trim();
  expect((await xeno("owner", ["serve", "--data", path.join(folder, "server"), "--enrol", `${token}x`]).done).code).toBe(125);
  const { child, seen } = xeno("owner", ["serve", "--data", path.join(folder, "server"), "--enrol", token]);
  server = child;
  await until(() => seen.stdout.includes("serves"), 30_000);
  await until(async () => (await ok("customer", ["search", "--json"])).includes('"server":"s_'), 20_000);
}, 90_000);
afterAll(async () => {
  await kill9(server);
  await kill9(broker);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

const run = (...args: string[]) => xeno("customer", ["run", SCRIPT, "--cpu", "1", "--mem", "256M", "--disk", "16M", "--json", ...args]);
const started = async (seen: Done) => {
  await until(
    async () => (JSON.parse(await ok("customer", ["ps", "--json"])) as { leases: { state: string }[] }).leases.some(({ state }) => state === "open"),
    20_000,
  );
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  return seen;
};
const outcome = (done: Done) => JSON.parse(done.stdout) as { stdout: string; end: { reason: string; exitCode: number; blame: string } };
async function nothingHeld(): Promise<void> {
  const wallet = JSON.parse(await ok("customer", ["wallet", "--json"])) as { balances: { held: string } };
  expect(wallet.balances.held).toBe("0");
}

describe("killed without warning", () => {
  it("a xenoserver mid-job: its guest runs on, is found again, and the job completes", async () => {
    const job = run("--label", "server killed");
    await started(job.seen);
    await kill9(server);
    await new Promise((resolve) => setTimeout(resolve, 500));
    server = await startServer();
    const done = await job.done;
    expect(outcome(done)).toMatchObject({ stdout: "begin\nend\n", end: { reason: "completed", exitCode: 7, blame: "nobody" } });
    expect(done.code).toBe(7);
    await nothingHeld();
  });

  it("a broker mid-lease: everybody reconnects and the job completes", async () => {
    const job = run("--label", "broker killed");
    await started(job.seen);
    await kill9(broker);
    await new Promise((resolve) => setTimeout(resolve, 300));
    broker = await startBroker();
    expect(outcome(await job.done)).toMatchObject({ stdout: "begin\nend\n", end: { reason: "completed", exitCode: 7 } });
    await nothingHeld();
  });

  it("a database mid-lease: it comes back and the job completes", async () => {
    const job = run("--label", "database killed");
    await started(job.seen);
    const pid = Number((await readFile(path.join(folder, "broker", "postgres", "postmaster.pid"), "utf8")).split("\n")[0]);
    process.kill(pid, "SIGKILL");
    expect(outcome(await job.done)).toMatchObject({ end: { reason: "completed", exitCode: 7 } });
    await nothingHeld();
  });

  it("leaves books and log in order", async () => {
    broker.kill("SIGTERM");
    await new Promise((resolve) => broker.once("exit", resolve));
    const report = JSON.parse(await ok("operator", ["broker", "check", "--data", path.join(folder, "broker"), "--json"])) as {
      problems: string[];
      logSize: number;
    };
    expect(report.problems).toEqual([]);
    expect(report.logSize).toBeGreaterThan(20);
    broker = await startBroker();
  });

  it("restores from a backup into a new epoch, with the same money and verifiable receipts", async () => {
    const before = JSON.parse(await ok("customer", ["wallet", "--json"])) as { balances: object };
    const [lease] = (JSON.parse(await ok("customer", ["ps", "--all", "--json"])) as { leases: { id: string }[] }).leases;
    await ok("customer", ["verify", lease!.id]);
    broker.kill("SIGTERM");
    await new Promise((resolve) => broker.once("exit", resolve));
    await ok("operator", ["broker", "backup", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")]);
    await rm(path.join(folder, "broker"), { recursive: true });
    expect(await ok("operator", ["broker", "restore", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")])).toContain("epoch 2");
    expect((await xeno("operator", ["broker", "restore", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")]).done).code).toBe(125);
    broker = await startBroker();
    expect(JSON.parse(await ok("customer", ["wallet", "--json"]))).toMatchObject({ balances: before.balances });
    await rm(path.join(folder, "customer", "receipts"), { recursive: true });
    expect(await ok("customer", ["verify", lease!.id])).toContain("proved");
    await until(async () => (await ok("customer", ["search", "--json"])).includes('"server":"s_'), 30_000);
    expect(outcome(await run().done).end).toMatchObject({ reason: "completed" });
  });
});
