/** A pool's storage on its bad days, played by its twin: disks that come in part, memory that goes elsewhere, hosts that do not see it. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { Failure } from "../../../../../test/xapi/records.ts";
import { bench, diskOf, jobIn, type Bench } from "../../../../../test/xapi/support.ts";
import { until } from "../../../../../test/until.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const callsTo = (method: string): number => at.twin.calls.filter((call) => call.method === method).length;

async function begun(script: readonly string[], more = {}) {
  const { driver } = await at.open();
  return { driver, guest: await (await driver.prepare(await at.job(script, more))).begin() };
}

it("sends a disk again that the storage failed to write after it was taken, though the pool has said 200", async () => {
  at.twin.badImports = 1;
  const { guest } = await begun(["file stdout whole", "exit 3"]);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
  expect(at.twin.db.all("task")).toEqual([]);
});

it("makes no template of an image that the storage never takes whole, and leaves nothing of it", async () => {
  const { driver } = await at.open();
  at.twin.badImports = Infinity;
  await expect(driver.prepare(await at.job(["print a"]))).rejects.toThrow(/VDI_IO_ERROR.*: the storage could not read or write it/);
  expect([at.twin.db.all("vm"), at.twin.db.all("vdi")]).toEqual([[], []]);
});

it("fetches a result again that broke off, and blames nobody's archive where it never comes whole", async () => {
  const { driver, guest } = await begun(["file out/a a", "exit 3"]);
  at.twin.badExports = 1;
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
  const other = await (await driver.prepare(await at.job(["file out/a a", "exit 3"]))).begin();
  at.twin.badExports = Infinity;
  expect(await other.ended).toMatchObject({ kind: "host-failure", detail: expect.stringContaining("of a disk's") });
});

it("takes a result disk that the storage has made larger than was asked for", async () => {
  const { guest } = await begun(["file out/a a", "exit 3"], { outputMibMax: 2 });
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
});

it("keeps a machine's memory on the storage that its owner named, over a restart too, and lets go of it with the snapshot", async () => {
  const { driver, guest } = await begun([LONG]);
  const { snapshot } = await guest.controls!.snapshot();
  await guest.kill();
  await guest.dispose();
  const memories = (): string[] => at.twin.db.all("vm").flatMap(([, vm]) => (at.twin.db.has(String(vm["suspend_VDI"])) ? ["one"] : []));
  const { driver: next } = await at.open();
  expect(memories()).toHaveLength(1);
  expect(new Set(at.twin.db.all("vdi").map(([, vdi]) => vdi["SR"]))).toEqual(new Set([at.twin.sr]));
  const fork = await at.job(["print b"], { vm: { kind: "snapshot", snapshot } });
  const forked = await (await next.prepare(fork)).begin();
  expect([callsTo("Async.VM.resume"), callsTo("Async.VM.start")]).toEqual([1, 1]);
  await forked.kill();
  await forked.dispose();
  expect(memories()).toHaveLength(1);
  const { pool } = await at.open();
  for (const [ref, vm] of await pool.vms()) if (vm.is_a_snapshot) await pool.removeVm(ref);
  await driver.makeRoom();
  expect(at.twin.db.all("vdi")).toEqual([]);
});

it("counts no host that does not see the storage", async () => {
  const { driver } = await at.open();
  expect(driver.capacity().vcpu).toBe(8);
  const [second] = at.twin.db.all("pbd").filter(([, { host, SR }]) => host === at.twin.hosts[1]!.ref && SR === at.twin.sr);
  at.twin.db.set(second![0], { currently_attached: false });
  await until(async () => driver.capacity().vcpu === 4);
});

it("waits for a disk that is in use while the storage merges others", async () => {
  const { driver, guest } = await begun(["exit 3"]);
  let refusals = 8;
  at.twin.refuses = (method) => (method === "VDI.destroy" && refusals-- > 0 ? new Failure("VDI_IN_USE", "a disk", "destroy") : null);
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 3 });
  await guest.dispose();
  await driver.makeRoom();
  expect(at.twin.db.all("vdi")).toEqual([]);
});

it("says in words that the storage is full", async () => {
  const { driver } = await at.open();
  at.twin.world.full.add(at.twin.sr);
  await expect(driver.prepare(await at.job(["print a"]))).rejects.toThrow("the storage is full");
});

it("refuses in words a plain disk that is another format's, before a byte of it is sent", async () => {
  const { driver } = await at.open();
  const file = path.join(at.folder, "qcow2");
  await writeFile(file, Buffer.concat([Buffer.from("514649fb", "hex"), Buffer.alloc(1_024)]));
  const job = await jobIn(path.join(at.folder, "blobs"), "e".repeat(64), { disk: await diskOf(file, "raw"), script: [] });
  await expect(driver.prepare(job)).rejects.toMatchObject({ name: "RefusedWork", reason: "image-refused" });
  expect(at.twin.db.all("vdi")).toEqual([]);
});
