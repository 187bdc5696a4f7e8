/** Real processes, killed without warning: the broker, the xenoserver, the database. The job must end right, with the right money. */
import type { ChildProcess } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../until.ts";
import { holdGuests } from "./guests.ts";
import { working } from "./jobs.ts";
import { Programs, kill9, told } from "./programs.ts";
import { thoroughly } from "../thorough.ts";

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;
let folder: string;
let module: string;
const ok = (who: string, args: string[]): Promise<string> => programs.ok(who, args);
const xeno = (who: string, args: string[]) => programs.xeno(who, args);

beforeAll(async () => {
  programs = await Programs.open();
  folder = programs.folder;
  module = programs.at("working.wasm");
  await writeFile(module, await working());
  broker = await programs.startBroker();
  const token = await programs.people();
  expect((await xeno("owner", ["serve", "--data", programs.at("server"), "--enrol", `${token}x`]).done).code).toBe(125);
  server = await programs.startServer("--enrol", token);
});
afterAll(async () => {
  await kill9(server);
  await kill9(broker);
  await programs.remove();
});

const run = (label: string) => xeno("customer", ["run", module, "--cpu", "1", "--mem", "256M", "--disk", "16M", "--label", label]);

/** Runs the job; while it is under way and its guest stands still, something happens to the market's programs. */
async function meanwhile(label: string, happens: () => Promise<void>, then = async (): Promise<void> => {}): Promise<void> {
  const job = run(label);
  await until(() => job.seen.stdout.includes("begin"));
  const goOn = await holdGuests(folder);
  await happens();
  goOn();
  await then();
  await completed(label, await job.done);
}

async function completed(label: string, done: { code: number | null; stdout: string; stderr: string }): Promise<void> {
  expect(done, done.stderr).toMatchObject({ code: 7, stdout: "begin\nend\n" });
  const { leases } = JSON.parse(await ok("customer", ["ps", "--all", "--json"])) as { leases: { label: string; end: object | null }[] };
  expect(leases.filter((lease) => lease.label === label).map(({ end }) => end)).toMatchObject([
    { reason: "completed", exitCode: 7, blame: "nobody" },
  ]);
  const wallet = JSON.parse(await ok("customer", ["wallet", "--json"])) as { balances: { held: string } };
  expect(wallet.balances.held).toBe("0");
}
const postmaster = async () =>
  Number((await readFile(path.join(folder, "broker", "postgres", "postmaster.pid"), "utf8").catch(() => "")).split("\n")[0]);

/** Stands still, alive and connected, until what follows of it has come about. */
async function hung(child: ChildProcess, follows: () => Promise<void>): Promise<void> {
  child.kill("SIGSTOP");
  try {
    await follows();
  } finally {
    child.kill("SIGCONT");
  }
  await programs.isListed();
}

describe("hung", () => {
  thoroughly("a xenoserver gets no orders, hears why its link was cut, and is listed again when it goes on", async () => {
    await hung(server, () =>
      until(async () => (await xeno("customer", ["search", "--explain"]).done).stderr.includes("no server fits: offline excluded 1")),
    );
    await until(() => programs.server.stderr.includes("nothing was heard from this end in time"));
  });

  it("a broker is taken for gone by its server, which finds it again when it goes on", async () => {
    // a server that has not answered in time says nothing of its link
    const isConnected = async (): Promise<boolean | null> => {
      const { code, stdout } = await xeno("owner", ["server", "status", "--data", programs.at("server"), "--json"]).done;
      return code === 0 ? (JSON.parse(stdout) as { connected: boolean }).connected : null;
    };
    await hung(broker, () => until(async () => (await isConnected()) === false));
    await until(() => programs.server.stderr.includes("nothing was heard from the broker in 8 beats of 250 ms"));
    await until(async () => (await isConnected()) === true);
  });
});

describe("told by its owner", () => {
  const toml = (): string => path.join(programs.at("server"), "xenoserver.toml");
  const listed = async (): Promise<string> => (await xeno("customer", ["search", "--json"]).done).stdout;
  const drain = (...args: string[]) => ok("owner", ["server", "drain", "--data", programs.at("server"), ...args]);

  thoroughly("a xenoserver takes no leases, though it is killed and started again, until that is undone", async () => {
    expect(await drain()).toContain("drained");
    await until(async () => (await xeno("customer", ["search"]).done).stderr.includes("no server fits"));
    await kill9(server);
    server = await programs.serve();
    const status = async (): Promise<string> => (await xeno("owner", ["server", "status", "--data", programs.at("server")]).done).stdout;
    await until(async () => (await status()).includes("connected, drained"));
    // as its broker has it
    await until(async () => (await status()).includes("no orders: it has no offer there"));
    expect((await run("drained").done).code).not.toBe(0);
    expect(await drain("--undo")).not.toContain("drained");
    await programs.isListed();
  });

  thoroughly("a xenoserver says which of its leases will stay, and why, before it hands any over", async () => {
    const nowhere = `s_${"0".repeat(40)}@127.0.0.1:1`;
    const drained: { stdout: string; stderr: string }[] = [];
    await meanwhile(
      "stays",
      async () => void drained.push(await xeno("owner", ["server", "drain", "--to", nowhere, "--data", programs.at("server")]).done),
      async () => void (await drain("--undo")),
    );
    const why = "a guest of the driver wasm does not move";
    expect(drained).toMatchObject([
      { stderr: expect.stringMatching(new RegExp(`^will stay: \\w+: ${why}\n$`)), stdout: expect.stringContaining(`: ${why}\n`) },
    ]);
    await programs.isListed();
  });

  it("a xenoserver reads its settings again: a good file holds at once, a bad one changes nothing and is told why", async () => {
    const before = await readFile(toml(), "utf8");
    /** As it is listed; a link that was late for a moment takes it off the list. */
    const perHour = async (): Promise<string> => {
      let price: string | undefined;
      await until(async () => (price = /"gigaFuelNanos":"(\d+)"/.exec(await listed())?.[1]) !== undefined);
      return price!;
    };
    const first = await perHour();
    await writeFile(toml(), `${before.replace("pool = 0", "pool = 1")}[price]\nfuel_hour = "0.5"\n`);
    server.kill("SIGHUP");
    for (const what of ["from the next start on: pool", "changed: price.fuel_hour"])
      await until(() => programs.server.stderr.includes(`xenoserver.toml reread: ${what}`));
    await until(async () => (await perHour()) !== first);
    const second = await perHour();
    await writeFile(toml(), `${before}[capacity]\nmemory = 4\n`);
    server.kill("SIGHUP");
    await until(() => programs.server.stderr.includes("capacity.memory: 4: it has no unit"));
    const told = await xeno("owner", ["server", "reread", "--data", programs.at("server")]).done;
    expect([told.code, told.stderr]).toEqual([125, expect.stringContaining("capacity.memory: 4: it has no unit")]);
    expect(await perHour()).toBe(second);
    await writeFile(toml(), before);
    expect(await ok("owner", ["server", "reread", "--data", programs.at("server")])).toContain("changed: price.fuel_hour");
    await until(async () => (await perHour()) === first);
  });
});

describe("killed without warning", () => {
  it("a xenoserver mid-job: its guest runs on, is found again, and the job completes", () =>
    meanwhile(
      "server killed",
      () => kill9(server),
      async () => void (server = await programs.startServer()),
    ));

  it("a broker mid-lease: everybody reconnects and the job completes", () =>
    meanwhile("broker killed", async () => {
      await kill9(broker);
      broker = await programs.startBroker();
    }));

  it("a database mid-lease: it comes back and the job completes", () =>
    meanwhile("database killed", async () => {
      const pid = await postmaster();
      process.kill(pid, "SIGKILL");
      await until(async () => ![0, pid].includes(await postmaster()));
    }));

  it("leaves books and log in order", async () => {
    await told(broker);
    const report = JSON.parse(await ok("operator", ["broker", "check", "--data", path.join(folder, "broker"), "--json"])) as {
      problems: string[];
      logSize: number;
    };
    expect(report.problems).toEqual([]);
    expect(report.logSize).toBeGreaterThan(20);
    broker = await programs.startBroker();
  });

  thoroughly("restores from a backup into a new epoch, with the same money and verifiable receipts", async () => {
    const before = JSON.parse(await ok("customer", ["wallet", "--json"])) as { balances: object };
    const [lease] = (JSON.parse(await ok("customer", ["ps", "--all", "--json"])) as { leases: { id: string }[] }).leases;
    await ok("customer", ["verify", lease!.id]);
    await kill9(server);
    await told(broker);
    await ok("operator", ["broker", "backup", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")]);
    await rm(path.join(folder, "broker"), { recursive: true });
    const whole = await readFile(path.join(folder, "market.backup"));
    for (const part of [whole.subarray(0, whole.length - 20), whole.subarray(0, 30), Buffer.from("no backup")]) {
      await writeFile(path.join(folder, "cut.backup"), part);
      const refused = await xeno("operator", ["broker", "restore", path.join(folder, "cut.backup"), "--data", path.join(folder, "broker")])
        .done;
      expect(refused, refused.stderr).toMatchObject({ code: 125 });
      expect(refused.stderr).toContain("is no whole backup");
    }
    expect(await ok("operator", ["broker", "restore", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")])).toMatch(
      /goes on as epoch [0-9a-f]{32}\nit follows epoch [0-9a-f]{32} as far as the backup has it: \d+ leaves/,
    );
    expect(
      (await xeno("operator", ["broker", "restore", path.join(folder, "market.backup"), "--data", path.join(folder, "broker")]).done).code,
    ).toBe(125);
    broker = await programs.startBrokerByHand();
    expect(JSON.parse(await ok("customer", ["wallet", "--json"]))).toMatchObject({ balances: before.balances });
    await rm(path.join(folder, "customer", "receipts"), { recursive: true });
    expect(await ok("customer", ["verify", lease!.id])).toContain("proved");
    await told(broker);
    broker = await programs.startBroker();
    server = await programs.startServer();
    await completed("restored", await run("restored").done);
  });
});
