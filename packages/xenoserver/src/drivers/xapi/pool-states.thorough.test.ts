/** What machines of a pool do that nobody asked them for, and what cannot be done with them, played by its twin. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { Failure } from "../../../../../test/xapi/records.ts";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { until } from "../../../../../test/until.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const running = (): string => at.twin.db.all("vm").find(([ref]) => at.twin.world.domains.has(ref))![0];
const stateOf = (vm: string): unknown => at.twin.db.get(vm)["power_state"];

async function begun(script: readonly string[], more = {}) {
  const { driver, pool } = await at.open();
  const job = await at.job(script, more);
  const prepared = await driver.prepare(job);
  return { driver, pool, job, token: prepared.token, guest: await prepared.begin() };
}

it("tells a crash from an end though the pool's messages say nothing of it, after a restart too", async () => {
  const { driver, guest, job, token } = await begun([LONG]);
  guest.release();
  at.twin.domainOf(job.lease).end("crashed");
  await driver.close();
  const { driver: next } = await at.open([job.lease]);
  const again = (await next.adopt(token, job))!;
  expect(await again.ended).toMatchObject({ kind: "result", reason: "guest-panic", exitCode: null });
});

it.each(["halted", "crashed"] as const)("takes one that is found %s for ended when that was last known to run", async (how) => {
  const { driver, guest, job, token } = await begun([LONG]);
  const livedUntilMs = driver.monotonicMs();
  guest.release();
  await driver.close();
  at.twin.domainOf(job.lease).end(how);
  await until(async () => driver.monotonicMs() > livedUntilMs);
  const { driver: next } = await at.open([job.lease]);
  expect((await (await next.adopt(token, { ...job, livedUntilMs }))!.ended).endedMonotonicMs).toBe(livedUntilMs);
});

it("takes one that ends after it was found again for ended then", async () => {
  const { driver, guest, job, token } = await begun([LONG]);
  const livedUntilMs = driver.monotonicMs();
  guest.release();
  await driver.close();
  const { driver: next } = await at.open([job.lease]);
  const again = (await next.adopt(token, { ...job, livedUntilMs }))!;
  const foundMs = next.monotonicMs();
  at.twin.domainOf(job.lease).end("halted");
  expect((await again.ended).endedMonotonicMs).toBeGreaterThanOrEqual(foundMs);
});

it("tells a crash where the answer about it was lost", async () => {
  let lost = 0;
  at.twin.trick = (method) => (method === "message.get" && lost++ === 0 ? "drop-after" : null);
  const { guest } = await begun(["crash"]);
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "guest-panic" });
  expect(lost).toBeGreaterThan(1);
});

it("takes nobody's pause for a crash, and goes on when they let it", async () => {
  const { guest } = await begun([LONG]);
  const vm = running();
  at.twin.byHand("VM.pause", vm);
  const since = at.twin.calls.length;
  await until(async () => at.twin.calls.slice(since).filter(({ method }) => method === "message.get").length > 2);
  at.twin.byHand("VM.unpause", vm);
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("keeps no machine that would be ended by it, and says why", async () => {
  const { guest } = await begun(["no-drivers", LONG]);
  await expect(guest.controls!.snapshot()).rejects.toThrow("has no drivers of Xen's");
  expect(stateOf(running())).toBe("Running");
  await guest.kill();
});

it("moves no machine that would be ended by it, and moves it once its system has drivers", async () => {
  await begun(["no-drivers", LONG]);
  const vm = running();
  at.twin.db.set(at.twin.hosts[0]!.ref, { enabled: false });
  await until(async () => at.logged.some((line) => line.includes("its system has no drivers of Xen's")));
  expect(stateOf(vm)).toBe("Running");
  Object.assign(at.twin.world.domains.get(vm)!, { hasDrivers: true });
  at.twin.db.set(vm, { allowed_operations: ["checkpoint", "pool_migrate"] });
  await until(async () => at.twin.db.get(vm)["resident_on"] === at.twin.hosts[1]!.ref);
});

it("wakes a machine that a snapshot, of which there was no room for a copy, has left suspended", async () => {
  const { guest } = await begun([LONG]);
  const vm = running();
  at.twin.world.brokenClone = { after: "disks" };
  await expect(guest.controls!.snapshot()).rejects.toThrow("the master moved");
  expect(stateOf(vm)).toBe("Running");
  at.twin.world.brokenClone = null;
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("leaves off a clone that never ends where nobody wants it any more", async () => {
  const { driver } = await at.open();
  at.twin.stuck = (method) => method === "VM.clone";
  const leaving = new AbortController();
  const preparing = driver.prepare({ ...(await at.job(["print a"])), signal: leaving.signal });
  await until(async () => at.twin.calls.some(({ method }) => method === "Async.VM.clone"));
  leaving.abort(new Error("called off"));
  await expect(preparing).rejects.toThrow("called off");
  await until(async () => at.twin.calls.some(({ method }) => method === "task.cancel"));
});

it("starts a machine of a pool that is busy for a while", async () => {
  let refusals = 8;
  at.twin.refuses = (method) =>
    method === "Async.VM.start" && refusals-- > 0 ? new Failure("OTHER_OPERATION_IN_PROGRESS", "VM", "a machine", "clone") : null;
  const { guest } = await begun(["exit 3"]);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
});

it("reads the pool past an object of another's that nobody understands", async () => {
  at.twin.db.add("vm", { name_label: "odd", power_state: "Levitating" });
  at.twin.db.add("vdi", { name_label: "odd", virtual_size: "a lot" });
  const { guest } = await begun(["exit 3"]);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
});

it.each([
  ["pv", "bios", undefined],
  ["hvm", "bios", "qemu-upstream-compat"],
  ["hvm", "uefi", "qemu-upstream-uefi"],
] as const)("boots by %s and %s with the device model of that, all processors in one socket", async (boot, firmware, model) => {
  const { driver } = await at.open([], { boot });
  await (await driver.prepare(await at.job([LONG], { firmware, machine: "q35", memoryMib: 256 }))).begin();
  const { platform, actions_after_crash: crash } = at.twin.db.get(running()) as {
    platform: Record<string, string>;
    actions_after_crash: string;
  };
  expect([platform["device-model"], platform["cores-per-socket"], platform["acpi"], crash]).toEqual([model, "1", "1", "preserve"]);
});

it("refuses in words a machine that is larger than any one host, though all of them together have room", async () => {
  const { driver } = await at.open();
  const job = await at.job(["print a"], { vcpu: 5 });
  const ordered = { po: { ...job.po, resources: { ...job.po.resources, vcpu: 5 } }, order: job.order };
  expect(driver.problemWith(job.work, ordered)).toContain("no host of this pool has 5 processors");
});
