/** A guest's process in its control group, where this machine has any: joined before it runs, held, ended and removed. */
import { execFile } from "node:child_process";
import { access, mkdir, mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../../../test/until.ts";
import { JOIN_GROUPS, hostLimits, removeCgroup, wasOutOfMemory, type Cgroup, type Limits, type Share } from "./cgroup.ts";
import { WORKER_FILES, WorkerPool, createSandbox, followTaken, isAlive, type Sandbox } from "./index.ts";
import { groupOf, shareOf } from "./worker-group.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const limits = await hostLimits();
if (limits.kind === "process") console.warn(`SKIPPED: no control groups here: ${limits.why}`);

let folder: string;
let sandbox: Sandbox;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-groups-"));
  sandbox = await createSandbox(path.join(folder, "sandbox"), new Map());
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
const memoryFolder = ({ kind, folders }: Cgroup): string => (kind === "cgroup2" ? folders[0] : folders[1]);
const memoryMax = (group: Cgroup): Promise<string> =>
  readFile(path.join(memoryFolder(group), group.kind === "cgroup2" ? "memory.max" : "memory.limit_in_bytes"), "utf8");
const processesIn = async (group: Cgroup): Promise<number[]> =>
  (await readFile(path.join(memoryFolder(group), "cgroup.procs"), "utf8")).split("\n").filter(Boolean).map(Number);

const SMALL: Share = { vcpu: 1, ceilingUs: null, memoryMib: 64, tasksMax: 16 };
let made = 0;
/** A shell's words in a group of their own. */
async function inGroup(share: Share, script: string): Promise<{ group: Cgroup; failed: unknown }> {
  const group = await limits.create(`test-${process.pid}-${++made}`, share);
  if (group === null) throw new Error("there are no control groups here");
  const failed = await run("sh", ["-c", `${JOIN_GROUPS}\n${script}`, "sh", group.folders.join(" ")]).then(
    () => null,
    (error: unknown) => error,
  );
  return { group, failed };
}

describe.runIf(limits.kind !== "process")("a control group", () => {
  it("ends what takes more memory than it has, and says so", async () => {
    const { group, failed } = await inGroup(SMALL, "exec perl -e 'my $x = \"x\" x (200 * 1024 * 1024)'");
    expect([failed, await wasOutOfMemory(group)]).toMatchObject([{ signal: "SIGKILL" }, true]);
    await removeCgroup(group);
    const less = await inGroup(SMALL, "exec perl -e 'my $x = \"x\" x (8 * 1024 * 1024)'");
    expect([less.failed, await wasOutOfMemory(less.group)]).toEqual([null, false]);
    await removeCgroup(less.group);
  });

  it("lets no more processes be made than it has, and ends them all with it", async () => {
    const { group, failed } = await inGroup({ ...SMALL, tasksMax: 4 }, "for i in 1 2 3 4 5 6 7 8; do sleep 1000 >&- 2>&- & done; :");
    expect(failed).toMatchObject({ stderr: expect.stringMatching(/fork/i) });
    expect((await processesIn(group)).length).toBeGreaterThan(0);
    await removeCgroup(group);
    for (const each of group.folders) expect(await isThere(each)).toBe(false);
  });

  it("is not left out of by a process that cannot join it", async () => {
    const words = ["-c", `${JOIN_GROUPS}\necho went on`, "sh", path.join(folder, "no-group")];
    await expect(run("sh", words)).rejects.toMatchObject({ stdout: "", code: 1 });
  });
});

it("can be read by its guest where the daemon puts files for it, whatever the daemon's umask", async () => {
  const pool = new WorkerPool(sandbox, path.join(folder, "umask"), 0);
  const before = process.umask(0o077); // as the unit of `xeno serve --install` has it
  try {
    const worker = await pool.take();
    expect((await stat(path.join(worker.folder, WORKER_FILES.blobs))).mode & 0o777).toBe(0o755);
    const guest = followTaken(worker);
    await guest.kill();
    await guest.ended;
    await guest.dispose();
  } finally {
    process.umask(before);
  }
});

/** Groups of workers in that folder. */
const groupsOf = async (host: Limits, workers: string): Promise<Cgroup[]> =>
  (await readdir(workers)).flatMap((name) => groupOf(host, path.join(workers, name)) ?? []);

describe.runIf(limits.kind !== "process")("a guest's process", () => {
  const job = { memoryMibMax: 64, diskMibMax: 16, outputMibMax: 1, breakpoints: null };

  it("waits in a group of its own, is held to what was bought before it has its job, and leaves nothing", async () => {
    const workers = path.join(folder, "held");
    const pool = new WorkerPool(sandbox, workers, 1);
    await pool.open();
    const worker = await pool.take();
    const group = worker.cgroup;
    if (group === null) throw new Error("the worker is in no group");
    await until(async () => (await processesIn(group)).includes(worker.id.pid));
    const waiting = Number(await memoryMax(group));
    const guest = followTaken(worker);
    const { memoryMib } = shareOf(job, 3);
    // of a job that cannot begin: what it says of itself is no matter here
    await worker.hand({ ...job, modulePath: "none" } as Parameters<typeof worker.hand>[0], 3);
    expect([waiting, Number(await memoryMax(group))]).toEqual([expect.any(Number), memoryMib * MIB]);
    expect(waiting).toBeLessThan(memoryMib * MIB);
    const weight = group.kind === "cgroup2" ? ["cpu.weight", "300"] : ["cpu.shares", "3072"];
    expect((await readFile(path.join(group.folders[0], weight[0] ?? ""), "utf8")).trim()).toBe(weight[1]);
    const tasks = path.join(group.folders.at(-1) ?? "", "pids.max");
    expect(Number(await readFile(tasks, "utf8"))).toBe(shareOf(job, 3).tasksMax);
    await guest.ended;
    for (const each of group.folders) await until(async () => !(await isThere(each)));
    expect(await isThere(worker.folder)).toBe(true);
    await guest.dispose();
    expect(await isThere(worker.folder)).toBe(false);
    await pool.close();
    expect(await readdir(workers)).toEqual([]);
  });

  it("is ended with its group by the daemon that comes after a crash, unless a lease still has it", async () => {
    const workers = path.join(folder, "crashed");
    await mkdir(workers);
    const crashed = new WorkerPool(sandbox, workers, 0);
    const [left, kept] = [await crashed.take(), await crashed.take()];
    const groups = await groupsOf(limits, workers);
    expect(groups).toHaveLength(2);
    for (const { pid } of [left.id, kept.id])
      await until(async () => (await Promise.all(groups.map(processesIn))).some((pids) => pids.includes(pid)));
    await new WorkerPool(sandbox, workers, 0).open([kept.folder]);
    expect([await isAlive(left.id), await isAlive(kept.id)]).toEqual([false, true]);
    const isLeft = await Promise.all(groups.map(({ folders }) => isThere(folders[0])));
    expect(isLeft.filter(Boolean)).toHaveLength(1);
    await new WorkerPool(sandbox, workers, 0).open();
    expect(await isAlive(kept.id)).toBe(false);
    for (const { folders } of groups) for (const each of folders) expect(await isThere(each)).toBe(false);
  });
});
