/** Real processes, killed without warning: the broker, the xenoserver, the database. The job must end right, with the right money. */
import type { ChildProcess } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "./market.ts";
import { Programs, kill9, type Done } from "./programs.ts";

const SCRIPT = path.resolve("test/process/slow.py");

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;
let folder: string;
const ok = (who: string, args: string[]): Promise<string> => programs.ok(who, args);
const xeno = (who: string, args: string[]) => programs.xeno(who, args);

beforeAll(async () => {
  programs = await Programs.open(20_000 + (process.pid % 20_000));
  folder = programs.folder;
  broker = await programs.startBroker();
  const token = await programs.people();
  expect((await xeno("owner", ["serve", "--data", path.join(folder, "server"), "--enrol", `${token}x`]).done).code).toBe(125);
  server = await programs.startServer("--enrol", token);
}, 90_000);
afterAll(async () => {
  await kill9(server);
  await kill9(broker);
  await programs.remove();
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
    server = await programs.startServer();
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
    broker = await programs.startBroker();
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
    broker = await programs.startBroker();
  });

  it("restores from a backup into a new epoch, with the same money and verifiable receipts", async () => {
    const before = JSON.parse(await ok("customer", ["wallet", "--json"])) as { balances: object };
    const [lease] = (JSON.parse(await ok("customer", ["ps", "--all", "--json"])) as { leases: { id: string }[] }).leases;
    await ok("customer", ["verify", lease!.id]);
    broker.kill("SIGTERM");
    await new Promise((resolve) => broker.once("exit", resolve));
    await ok("operator", ["broker", "backup", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")]);
    await rm(path.join(folder, "broker"), { recursive: true });
    const whole = await readFile(path.join(folder, "market.backup"));
    for (const part of [whole.subarray(0, whole.length - 20), whole.subarray(0, 30), Buffer.from("no backup")]) {
      await writeFile(path.join(folder, "cut.backup"), part);
      const refused = await xeno("operator", ["broker", "restore", path.join(folder, "cut.backup"), "--data", path.join(folder, "broker")]).done;
      expect(refused, refused.stderr).toMatchObject({ code: 125 });
      expect(refused.stderr).toContain("is no whole backup");
    }
    expect(await ok("operator", ["broker", "restore", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")])).toContain("epoch 2");
    expect((await xeno("operator", ["broker", "restore", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")]).done).code).toBe(125);
    broker = await programs.startBroker();
    expect(JSON.parse(await ok("customer", ["wallet", "--json"]))).toMatchObject({ balances: before.balances });
    await rm(path.join(folder, "customer", "receipts"), { recursive: true });
    expect(await ok("customer", ["verify", lease!.id])).toContain("proved");
    await programs.isListed();
    expect(outcome(await run().done).end).toMatchObject({ reason: "completed" });
  });
});
