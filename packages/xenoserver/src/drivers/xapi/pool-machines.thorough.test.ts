/** More of a pool's bad days, and of what its machines can do, played by its twin. */
import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { until } from "../../../../../test/until.ts";
import type { RunningGuest } from "../driver.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const named = (prefix: string): string[] =>
  at.twin.db.all("vm").flatMap(([, vm]) => (String(vm["name_label"]).startsWith(prefix) ? [String(vm["name_label"])] : []));
const callsTo = (method: string): number => at.twin.calls.filter((call) => call.method === method).length;

async function textOf(guest: RunningGuest): Promise<string> {
  return Buffer.from(await guest.readStream("stdout", 0)).toString();
}

async function begun(script: readonly string[], more = {}) {
  const { driver, pool } = await at.open();
  const job = await at.job(script, more);
  const prepared = await driver.prepare(job);
  return { driver, pool, job, token: prepared.token, guest: await prepared.begin() };
}

it("logs in again where its session ran out, and does nothing twice", async () => {
  const { guest } = await begun(["print a", LONG]);
  at.twin.expireSessions();
  await guest.pause();
  at.twin.expireSessions();
  await guest.resume();
  await guest.kill();
  expect(await guest.ended).toMatchObject({ kind: "host-failure" });
  expect([callsTo("Async.VM.pause"), callsTo("Async.VM.start")].every((count) => count >= 1)).toBe(true);
  await guest.dispose();
});

it("follows a master that moves in the midst of a call, and starts a machine once", async () => {
  const { driver } = await at.open();
  const job = await at.job(["print a", "file out/a a", "exit 4"]);
  let moved = false;
  at.twin.trick = (method) => {
    if (method !== "Async.VM.start" || moved) return null;
    moved = true;
    setImmediate(() => at.twin.moveMaster());
    return "drop-after";
  };
  const prepared = await driver.prepare(job);
  const guest = await prepared.begin();
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 4 });
  expect(at.twin.master.address).toBe("127.0.0.2");
  await guest.dispose();
  expect(named("xeno-lease-")).toEqual([]);
});

it.each(["record", "disks"] as const)("removes a clone that was left half done (%s) by a daemon that was killed", async (after) => {
  const first = await at.open();
  const job = await at.job(["print a"]);
  at.twin.world.brokenClone = { after };
  await expect(first.driver.prepare(job)).rejects.toThrow();
  // the daemon that was killed removed nothing: as it would have been left
  const [template] = at.twin.db.all("vm").filter(([, vm]) => vm["is_a_template"] === true);
  const left = { ...structuredClone(template![1]), name_label: `xeno-lease-${job.lease}`, VBDs: [] };
  at.twin.db.add("vm", left);
  at.twin.world.brokenClone = null;
  await at.open();
  expect(named("xeno-lease-")).toEqual([]);
  expect(named("xeno-image-")).toHaveLength(1);
  expect(at.twin.db.all("vdi")).toHaveLength(1);
});

it("leaves nothing of a machine that could not be made whole", async () => {
  const { driver } = await at.open();
  at.twin.trick = (method) => (method === "VBD.create" && named("xeno-lease-").length > 0 ? "drop-after" : null);
  await expect(driver.prepare(await at.job(["print a"]))).rejects.toThrow("the pool did not answer");
  expect(named("xeno-lease-")).toEqual([]);
  expect(at.twin.db.all("vdi")).toHaveLength(1);
});

it("writes an image to the host that the pool redirects to, if that one is known", async () => {
  at.twin.redirectsTo = "127.0.0.2";
  const { guest } = await begun(["file stdout whole", "exit 0"]);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 0 });
  expect(await textOf(guest)).toBe("whole");
  at.twin.redirectsTo = "127.0.0.9";
  const { driver } = await at.open();
  await expect(driver.prepare(await at.job(["print other"]))).rejects.toThrow();
});

it("clones a customer's image that is there, uploads it once, and gives it to no other customer", async () => {
  const { driver } = await at.open();
  const job = await at.job(["print a"]);
  const image = job.work.kind === "machine" && job.work.vm.spec.vm.kind === "disk" ? job.work.vm.spec.vm.image!.digest : "";
  const needed = async (order: typeof job.order) => (await driver.neededBlobs(job.work, { po: job.po, order })).map(({ digest }) => digest);
  expect(await needed(job.order)).toContain(image);
  await (await driver.prepare(job)).discard();
  expect(await needed(job.order)).not.toContain(image);
  expect(await needed({ ...job.order, party: `p_${"2".repeat(40)}` })).toContain(image);
  await (await driver.prepare(await at.job(["print b"]))).discard();
  expect(callsTo("VM.create")).toBe(1);
  const forgets = await at.job(["print c"]);
  if (forgets.work.kind === "machine") forgets.work.vm.forgets = true;
  const prepared = await driver.prepare(forgets);
  expect(await needed(job.order)).toContain(image);
  await prepared.discard();
});

it("says what a crash is, keeps no more of a console than was ordered, and hands back no damaged archive", async () => {
  const { guest } = await begun(["print a", "crash"]);
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "guest-panic", exitCode: null });
  const { guest: talker } = await begun([`print ${"x".repeat(1_100_000)}`, LONG]);
  expect(await talker.ended).toMatchObject({ kind: "result", reason: "output-limit" });
  let bytes = 0;
  for (let part = await talker.readStream("stdout", 0); part.length > 0; part = await talker.readStream("stdout", bytes))
    bytes += part.length;
  expect(bytes).toBe(1_048_576);
});

it("shows what a console missed, from what the machine handed back", async () => {
  const { guest } = await begun(["say-unheard lost ", "print heard", "file stdout lost heard"], {});
  await guest.ended;
  expect(await textOf(guest)).toMatch(/^(lost )?heard$/);
});
it("takes a snapshot that another lease of the same customer goes on from, and nobody else, and bounds their room", async () => {
  const { driver } = await at.open([], { snapshots_gib: 1 });
  const job = await at.job(["print a", LONG], { memoryMib: 256 });
  const guest = await (await driver.prepare(job)).begin();
  const taken = await guest.controls!.snapshot();
  await guest.kill();
  await guest.ended;
  await guest.dispose();
  const fork = await at.job(["print b"], { vm: { kind: "snapshot", snapshot: taken.snapshot }, memoryMib: 256 });
  const other = { ...fork, order: { ...fork.order, party: `p_${"2".repeat(40)}` } };
  await expect(driver.prepare(other)).rejects.toThrow("does not have that snapshot of yours");
  const forked = await (await driver.prepare(fork)).begin();
  await expect(forked.controls!.snapshot()).rejects.toThrow("no room for a snapshot");
  await forked.kill();
  await forked.dispose();
  expect(named("xeno-lease-")).toEqual([]);
  expect(named("xeno-snapshot-")).toHaveLength(1);
});

it("moves machines off a host that is taken out of service, and their console and lease go on", async () => {
  const { guest } = await begun(["print before", "sleep 300", "print after", "file out/a a", "exit 6"]);
  await until(async () => (await textOf(guest)) === "before");
  const [vm] = at.twin.db.all("vm").find(([ref]) => at.twin.world.domains.has(ref))!;
  at.twin.db.set(at.twin.hosts[0]!.ref, { enabled: false });
  await until(async () => at.twin.db.get(vm)["resident_on"] === at.twin.hosts[1]!.ref);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 6 });
  expect(at.logged.some((line) => line.startsWith("a machine has moved"))).toBe(true);
});

it("shows a screen that was ordered, takes what is typed, and refuses in words what a pool's machine has not", async () => {
  const { driver } = await at.open();
  const job = await at.job(["print a", LONG], { screen: true });
  const guest = await (await driver.prepare(job)).begin();
  await until(async () => (await textOf(guest)) === "a");
  const screen = await guest.controls!.screen();
  const [hello] = await once(screen, "data");
  expect(String(hello)).toBe("RFB 003.003\n");
  screen.destroy();
  await guest.controls!.input(Buffer.from("ls\n"));
  const [typed] = await once(at.twin.domainOf(job.lease).typed, "data");
  expect(String(typed)).toBe("ls\n");
  await expect(guest.controls!.open(22)).rejects.toThrow("no network");
  await expect(guest.controls!.agent("ping", {})).rejects.toThrow("no agent");
  await guest.kill();
  await guest.dispose();
});

it("says that there is no room as its own failure, and leaves nothing", async () => {
  const { driver } = await at.open();
  for (const [, host] of at.twin.db.all("host")) at.twin.db.set(String(host["metrics"]), { memory_free: 0 });
  const prepared = await driver.prepare(await at.job(["print a"]));
  await expect(prepared.begin()).rejects.toThrow("NO_HOSTS_AVAILABLE");
  expect(named("xeno-lease-")).toEqual([]);
});

it("hears of a machine that was over before anybody looked, and has its output from its disk where it has no console", async () => {
  const { driver } = await at.open([], { boot: "hvm" });
  const guest = await (await driver.prepare(await at.job(["file stdout all of it", "exit 2"]))).begin();
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 2, tree: [] });
  expect(await textOf(guest)).toBe("all of it");
  await expect(guest.controls!.input(Buffer.from("a"))).rejects.toThrow("no text console");
});

it("makes a machine that is no template, of the memory that was sold from its first moment, with no network card", async () => {
  const { guest } = await begun([LONG]);
  const [, vm] = at.twin.db.all("vm").find(([ref]) => at.twin.world.domains.has(ref))!;
  const bytes = 128 * 1024 * 1024;
  expect(vm).toMatchObject({ is_a_template: false, memory_static_min: bytes, memory_static_max: bytes, VCPUs_max: 1 });
  expect(vm["VCPUs_params"]).toEqual({ weight: "256", cap: "100" });
  expect(at.twin.calls.some(({ method }) => method.startsWith("VIF."))).toBe(false);
  await guest.kill();
});
