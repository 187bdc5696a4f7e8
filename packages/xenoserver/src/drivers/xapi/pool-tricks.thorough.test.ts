/** A pool's bad days, played by its twin: what must not be lost, done twice, left behind, or touched. */
import { chmod, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { PASSWORD } from "../../../../../test/xapi/twin.ts";
import { until } from "../../../../../test/until.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const named = (prefix: string): string[] =>
  at.twin.db.all("vm").flatMap(([, vm]) => (String(vm["name_label"]).startsWith(prefix) ? [String(vm["name_label"])] : []));

async function begun(script: readonly string[], more = {}) {
  const { driver, pool } = await at.open();
  const job = await at.job(script, more);
  const prepared = await driver.prepare(job);
  return { driver, pool, job, token: prepared.token, guest: await prepared.begin() };
}

it("goes straight to the master that another host names, and to no other with its password", async () => {
  await at.close();
  at = await bench(3);
  const { pool } = await at.open();
  const since = at.twin.calls.length;
  at.twin.moveMaster(2, false);
  expect(await pool.vms()).toEqual([]);
  const logins = at.twin.calls.slice(since).filter(({ method }) => method === "session.login_with_password");
  expect(logins.map(({ host }) => host)).not.toContain("127.0.0.2");
  expect(logins.map(({ host }) => host)).toContain("127.0.0.3");
});

it("leaves alone what is not its own: another server's, and what only looks like its own", async () => {
  const { driver } = await at.open();
  const mark = await readFile(path.join(at.folder, "xapi", "mark"), "utf8");
  const foreign = { power_state: "Halted", is_a_template: false, is_a_snapshot: false, is_control_domain: false, VBDs: [], consoles: [] };
  const place = { resident_on: "OpaqueRef:NULL", memory_static_max: 1, allowed_operations: [], tags: ["xenoserver"] };
  const name = `xeno-lease-${"e".repeat(64)}`;
  const other = at.twin.db.add("vm", { ...foreign, ...place, name_label: name, other_config: { xenoserver: "0".repeat(32) } });
  const unmarked = at.twin.db.add("vm", { ...foreign, ...place, name_label: name });
  const own = at.twin.db.add("vm", { ...foreign, ...place, name_label: name, other_config: { xenoserver: mark } });
  const disk = at.twin.db.add("vdi", { name_label: name, SR: at.twin.sr, virtual_size: 1, physical_utilisation: 0, VBDs: [] });
  await at.open();
  expect([other, unmarked, disk, own].map((ref) => at.twin.db.has(ref))).toEqual([true, true, true, false]);
  await driver.makeRoom();
  expect([other, unmarked, disk].every((ref) => at.twin.db.has(ref))).toBe(true);
});

it("keeps a machine of a lease that is known, ends one that is nobody's, and finds the first again", async () => {
  const { driver: before, guest: nobodys } = await begun([LONG]);
  nobodys.release();
  const job = await at.job(["print a", "sleep 100", "exit 5"]);
  const prepared = await before.prepare(job);
  const { token } = prepared;
  (await prepared.begin()).release();
  const { driver } = await at.open([job.lease]);
  const again = (await driver.adopt(JSON.parse(JSON.stringify(token)) as typeof token, job))!;
  expect(await again.ended).toMatchObject({ kind: "result", exitCode: 5 });
  await until(async () => named("xeno-lease-").length === 0);
  expect(at.logged.some((line) => line.startsWith("what nobody's lease is was removed"))).toBe(true);
});

it("begins a machine that was made, and never ran, when its daemon was killed: nobody says that it has completed", async () => {
  const { driver: before } = await at.open();
  const job = await at.job(["print a", "file out/file b", "exit 5"]);
  const { token } = await before.prepare(job);
  const { driver } = await at.open([job.lease]);
  const guest = (await driver.adopt(JSON.parse(JSON.stringify(token)) as typeof token, job))!;
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed", exitCode: 5 });
  // the archive itself is not kept beside what was in it
  expect(await readdir(path.join(String(token["folder"]), "files"))).not.toContain("archive");
});

it("lets go of an image that has no room, and never of a lease's clone of it", async () => {
  const { driver } = await at.open([], { image_gib: 1 / 1024 });
  const job = await at.job(["exit 5"]);
  const guest = await (await driver.prepare(job)).begin();
  expect(await guest.ended).toMatchObject({ kind: "result", exitCode: 5 });
  expect(named("xeno-image-")).toEqual([]);
});

it("gives no lease the room that its owner gave to snapshots", async () => {
  const { driver: without } = await at.open([], { snapshots_gib: 0 });
  const { driver } = await at.open([], { snapshots_gib: 1 });
  expect(driver.capacity().diskMib).toBeLessThan(without.capacity().diskMib);
});

it("reads everything again where events were lost, and hears of an end that it missed", async () => {
  const { guest, pool } = await begun([LONG]);
  const [vm] = at.twin.db.all("vm").find(([ref]) => at.twin.world.domains.has(ref))!;
  at.twin.db.forget();
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
  expect(at.logged.some((line) => line.startsWith("events of the pool were lost"))).toBe(true);
  await until(async () => !pool.mirror.of("vm").has(vm));
});

it("gives less when a host leaves the pool, none of another's memory, and says that a machine's host has gone", async () => {
  const { driver, guest } = await begun([LONG]);
  const before = driver.capacity();
  expect(before.vcpu).toBe(8);
  at.twin.loseHost(0);
  await until(async () => driver.capacity().vcpu === 4);
  expect(driver.capacity().memoryMib).toBeLessThan(before.memoryMib);
  expect(await guest.ended).toMatchObject({ kind: "host-failure", detail: "the host that ran the machine has left the pool" });
});

it("goes on where its host was taken for dead for a while", async () => {
  const { promise: forever } = Promise.withResolvers<void>();
  const asked: number[] = [];
  const { driver } = await at.open([], {}, (ms) => {
    if (ms <= 60_000) return new Promise((resolve) => void setImmediate(resolve));
    asked.push(ms);
    return forever;
  });
  const job = await at.job([LONG]);
  const guest = await (await driver.prepare(job)).begin();
  at.twin.loseHost(0, 1);
  await until(async () => asked.length === 1);
  at.twin.hearHost(0, 1);
  await until(async () => driver.capacity().vcpu === 8);
  at.twin.domainOf(job.lease).end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("leaves a machine as it is where its daemon goes away while the host is taken for dead", async () => {
  const { promise: forever } = Promise.withResolvers<void>();
  const asked: number[] = [];
  const waits = (ms: number): Promise<void> => (
    asked.push(ms),
    ms > 60_000 ? forever : new Promise((resolve) => void setImmediate(resolve))
  );
  const { driver } = await at.open([], {}, waits);
  const job = await at.job([LONG]);
  const prepared = await driver.prepare(job);
  const guest = await prepared.begin();
  at.twin.loseHost(0, 1);
  await until(async () => asked.includes(90_000));
  guest.release();
  await driver.close();
  at.twin.hearHost(0, 1);
  const { driver: next } = await at.open([job.lease]);
  const again = (await next.adopt(prepared.token, job))!;
  at.twin.domainOf(job.lease).end("halted");
  expect(await again.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("never says the password, nor a session: not in what is logged, nor in an error", async () => {
  await at.open();
  const wrong = path.join(at.folder, "wrong");
  await chmod(path.join(at.folder, "password"), 0o644);
  const errors: string[] = [];
  const said = async (opening: Promise<unknown>): Promise<string> => {
    const error = await opening.then(
      () => null,
      (thrown: Error) => thrown,
    );
    errors.push(String(error?.stack), String((error?.cause as Error | undefined)?.stack));
    return error?.message ?? "it was opened";
  };
  expect(await said(at.open())).toContain("chmod 600");
  await chmod(path.join(at.folder, "password"), 0o600);
  await writeFile(wrong, "a wrong secret", { mode: 0o600 });
  expect(await said(at.open([], { password_file: wrong }))).toMatch(/^session\.login_with_password: SESSION_AUTHENTICATION_FAILED: the/);
  const all = [...errors, ...at.logged].join("\n");
  for (const secret of [PASSWORD, "a wrong secret", "session_id"]) expect(all).not.toContain(secret);
});

it("sends nothing, no password either, to a host whose certificate is not the one that was written down", async () => {
  const before = at.twin.calls.length;
  const opening = at.open([], { fingerprints: ["00".repeat(32)] });
  await expect(opening).rejects.toThrow("shows a certificate that is not in xapi.fingerprints");
  expect(at.twin.calls).toHaveLength(before);
});
