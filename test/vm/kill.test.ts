/** `xeno serve` itself killed without warning while machines run: they run on, are found again, and nothing of theirs is lost or left. */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { innermostOf } from "../../packages/guests/src/qemu/machine/box.ts";
import { VM_FILES } from "../../packages/guests/src/qemu/machine/plan.ts";
import { monotonicMs } from "../../packages/guests/src/qemu/machine/unheard.ts";
import { until } from "../process/market.ts";
import { Programs, kill9, told } from "../process/programs.ts";
import { busyboxLayout, endMachines, initrd, kernel, machines, qemus, run } from "./support.ts";

const AWAY_MS = 10_000;

machines("machines of a server that is killed", () => {
  let programs: Programs;
  let broker: ChildProcess;
  let server: ChildProcess;
  let folder: string;
  let layout: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-kill-vm-"));
    layout = await busyboxLayout(folder);
    programs = await Programs.open("");
    broker = await programs.startBroker();
    // it enrols; the tests start it again
    await told(await programs.startServer("--enrol", await programs.people()));
  });
  afterAll(async () => {
    await kill9(server);
    await endMachines(programs.folder);
    await kill9(broker);
    await programs.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const small = ["--mem", "192M", "--accel", "any", "--max-time", "10m"];
  /** It is this time that is looked for in a bill: more than a guest takes to end its job, and to say so. */
  const away = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, AWAY_MS));
  /** A lease as it is shown once it has ended. */
  async function ended(lease: string): Promise<{ end: { reason: string } | null; usedMs: number }> {
    let shown: Awaited<ReturnType<typeof ended>> | null = null;
    await until(async () => {
      shown = JSON.parse(await programs.ok("customer", ["lease", "show", lease, "--json"])) as Awaited<ReturnType<typeof ended>>;
      return shown.end !== null;
    });
    return shown!;
  }
  /** The QEMU that measures how fast machines are; 0 while there is none. */
  async function measuring(): Promise<number> {
    const [outer] = (await run("sh", ["-c", `pgrep -n -f '^unshare .*${programs.folder}.*/scratch-' || true`])).stdout.split("\n");
    const inner = outer ? await innermostOf(Number(outer)) : 0;
    const name = await readFile(`/proc/${inner}/comm`, "utf8").catch(() => "");
    return name.startsWith("qemu") ? inner : 0;
  }

  /** Starts a server and kills it while it measures; where that was over before it was seen, once more. */
  async function killedWhileMeasuring(): Promise<number> {
    const prepared = path.join(programs.at("server"), "prepared");
    const measured = async () => (await readdir(prepared)).find((name) => name.startsWith("score-"));
    for (;;) {
      const { child } = programs.xeno("owner", ["serve", "--data", programs.at("server")]);
      let qemu = 0;
      await until(async () => (qemu = await measuring()) > 0 || (await measured()) !== undefined);
      await kill9(child);
      if (qemu > 0) return qemu;
      await rm(path.join(prepared, (await measured())!));
    }
  }

  it("what it started for itself ends with it", async () => {
    const qemu = await killedWhileMeasuring();
    await until(() =>
      readFile(`/proc/${qemu}/comm`).then(
        () => false,
        () => true,
      ),
    );
    server = await programs.startServer();
  });

  it("a machine's console goes on without a gap, and it ends as if nothing had been", async () => {
    const ramdisk = path.join(folder, "ticking");
    await writeFile(ramdisk, await initrd("i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo tick $i; sleep 0.1; done; poweroff -f"));
    const words = ["--kernel", await kernel(), "--initrd", ramdisk, "--append", "console=ttyS0 quiet panic=-1", ...small];
    const job = programs.xeno("customer", ["run", ...words]);
    await until(() => job.seen.stdout.includes("tick 5\r"));
    const before = await qemus(programs.folder);
    expect(before).toHaveLength(1);
    // it stands still meanwhile, and is not over by itself; then it prints to nobody
    for (const pid of before) process.kill(-pid, "SIGSTOP");
    await kill9(server);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await qemus(programs.folder)).toEqual(before);
    for (const pid of before) process.kill(-pid, "SIGCONT");
    server = await programs.startServer();
    const done = await job.done;
    expect(done, done.stderr).toMatchObject({ code: 0 });
    const ticks = [...done.stdout.matchAll(/tick (\d+)\r/g)].map(([, i]) => Number(i));
    expect(ticks).toEqual(Array.from({ length: 150 }, (_, i) => i + 1));
    await until(async () => (await qemus(programs.folder)).length === 0);
  });

  it("an OCI image's job returns its exit code and files, wherever in its life the server was killed", async () => {
    const out = path.join(folder, "out");
    const script = "echo begun; sleep 6; echo kept > /out/file; echo done; exit 5";
    const words = ["--disk", "64M", "--user", "root", "--out", out, `oci:${layout}:box`, "--", "sh", "-c", script];
    const job = programs.xeno("customer", ["run", ...small, ...words]);
    for (const moment of [() => job.seen.stdout.includes("begun"), () => true]) {
      await until(moment);
      await kill9(server);
      server = await programs.startServer();
    }
    const done = await job.done;
    expect(done, done.stderr).toMatchObject({ code: 5, stdout: "begun\ndone\n" });
    expect(await readdir(out)).toEqual(["file"]);
  });

  it("an OCI image's job that ends while its server is away is billed up to its end, not up to the server's return", async () => {
    const script = "echo begun; sleep 2; echo done; exit 5";
    const words = [...small, "--disk", "64M", "--detach", "-q", `oci:${layout}:box`, "--", "sh", "-c", script];
    const lease = (await programs.ok("customer", ["run", ...words])).trim();
    const printed = path.join(programs.at("server"), "vm/machines", lease.slice(0, 24), "box", VM_FILES.stdout);
    await until(async () => (await readFile(printed, "utf8").catch(() => "")).includes("begun"));
    await kill9(server);
    const record = await readFile(path.join(programs.at("server"), "leases", lease, "lease.json"), "utf8");
    const { startedMonotonicMs } = (JSON.parse(record) as { guest: { startedMonotonicMs: number } }).guest;
    await until(async () => (await readFile(printed, "utf8")).includes("done"));
    await away();
    const backAfterMs = monotonicMs() - startedMonotonicMs;
    server = await programs.startServer();
    const { usedMs } = await ended(lease);
    expect(usedMs).toBeGreaterThan(2_000);
    expect(usedMs).toBeLessThan(backAfterMs);
    await until(async () => (await qemus(programs.folder)).length === 0);
  });

  it.each([
    ["powers itself off", "poweroff -f", "completed"],
    ["loses its QEMU", "sleep 600", "vm-crashed"],
  ])("a machine that %s while its server is away is billed no further than that", async (_, does, reason) => {
    const ramdisk = path.join(folder, "ends");
    await writeFile(ramdisk, await initrd(`echo begun; sleep 2; echo done; ${does}`));
    const words = ["--kernel", await kernel(), "--initrd", ramdisk, "--append", "console=ttyS0 quiet panic=-1", ...small];
    const lease = (await programs.ok("customer", ["run", ...words, "--detach", "-q"])).trim();
    const machine = path.join(programs.at("server"), "vm/machines", lease.slice(0, 24));
    const text = (name: string): Promise<string> => readFile(path.join(machine, name), "utf8").catch(() => "");
    await until(async () => (await text(path.join("box", VM_FILES.consoleLog))).includes("begun"));
    await kill9(server);
    const record = await readFile(path.join(programs.at("server"), "leases", lease, "lease.json"), "utf8");
    const { startedMonotonicMs } = (JSON.parse(record) as { guest: { startedMonotonicMs: number } }).guest;
    await until(async () => (await text(path.join("box", VM_FILES.consoleLog))).includes("done"));
    if (does === "poweroff -f") await until(async () => (await text(VM_FILES.log)).includes("(shutdown)"));
    else for (const pid of await qemus(programs.folder)) process.kill(-pid, "SIGKILL");
    const endedBeforeMs = monotonicMs() - startedMonotonicMs;
    await away();
    server = await programs.startServer();
    const { end, usedMs } = await ended(lease);
    expect([end?.reason, usedMs <= endedBeforeMs], `${usedMs} of ${endedBeforeMs}`).toEqual([reason, true]);
    // where nobody knows when it ended, it is what was claimed before
    if (does === "poweroff -f") expect(usedMs).toBeGreaterThan(2_000);
    await until(async () => (await qemus(programs.folder)).length === 0);
  });

  it("a machine that no record tells of is ended when the server comes back", async () => {
    const ramdisk = path.join(folder, "waiting");
    await writeFile(ramdisk, await initrd("echo here; sleep 600"));
    const words = ["--kernel", await kernel(), "--initrd", ramdisk, "--append", "console=ttyS0 quiet panic=-1", ...small];
    const lease = (await programs.ok("customer", ["run", ...words, "--detach", "-q"])).trim();
    await until(async () => (await qemus(programs.folder)).length === 1);
    await kill9(server);
    // as if it had been killed between making the machine and writing it down
    await rm(path.join(programs.at("server"), "leases", lease), { recursive: true });
    const machinesAt = path.join(programs.at("server"), "vm/machines");
    expect(await readdir(machinesAt)).toContain(lease.slice(0, 24));
    server = await programs.startServer();
    await until(async () => (await qemus(programs.folder)).length === 0);
    await until(async () => !(await readdir(machinesAt)).includes(lease.slice(0, 24)));
    // nobody is left who could end it: its customer is told how it stands, when the broker has the word
    const stopping = programs.xeno("customer", ["lease", "stop", lease]);
    await until(() => stopping.seen.stderr.includes("it was asked to end"));
    expect(JSON.parse(await programs.ok("customer", ["lease", "show", lease, "--json"]))).toMatchObject({ end: null });
    await kill9(stopping.child);
  });
});
