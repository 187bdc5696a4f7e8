/** Hosts of a pool that fall over, and toolstacks that begin anew, played by its twin: which end is the guest's own, and which is not. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { until } from "../../../../../test/until.ts";
import type { PoolSettings } from "./open-pool.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const FELL = { kind: "host-failure", detail: "the host that ran the machine was booted anew, and its machines with it" };
const running = (): string => at.twin.db.all("vm").find(([ref]) => at.twin.world.domains.has(ref))![0];
const hostOf = (vm: string): unknown => at.twin.db.get(vm)["resident_on"];

// by hvm it has no console that is opened again: nothing but events is asked for
async function begun(script: readonly string[], more: Partial<PoolSettings> = {}) {
  const { driver, pool } = await at.open([], more);
  const job = await at.job(script);
  const prepared = await driver.prepare(job);
  return { driver, pool, job, token: prepared.token, guest: await prepared.begin() };
}

it("takes no machine for ended by itself whose host lost its power and came back", async () => {
  const { guest } = await begun(["file out/a a", LONG]);
  at.twin.rebootHost(0);
  expect(await guest.ended).toMatchObject(FELL);
});

it("waits for what a host that comes up has lost, however long its storage takes", async () => {
  const { guest } = await begun([LONG]);
  const asked = (): number => at.twin.calls.filter(({ method }) => method === "message.get").length;
  const before = asked();
  const says = at.twin.fellOver(0);
  // each is after the time in which it would have been taken for one whose clock was set
  await until(() => asked() >= before + 3);
  says();
  expect(await guest.ended).toMatchObject(FELL);
});

it("has what a machine handed back before its host fell over, as its own end", async () => {
  const { driver, guest, job, token } = await begun(["file out/a a", "exit 3", LONG]);
  guest.release();
  await driver.close();
  at.twin.domainOf(job.lease).end("halted");
  at.twin.rebootHost(0);
  const { driver: next } = await at.open([job.lease]);
  const ended = await (await next.adopt(token, job))!.ended;
  expect(ended).toMatchObject({ kind: "result", reason: "completed", tree: [{ kind: "file", path: "out/a" }] });
});

it("says so too where the daemon was away, and the pool in a moment has it all behind it", async () => {
  const { driver, guest, job, token } = await begun([LONG]);
  guest.release();
  await driver.close();
  at.twin.rebootHost(0);
  const { driver: next } = await at.open([job.lease]);
  expect(await (await next.adopt(token, job))!.ended).toMatchObject(FELL);
});

it("takes a machine for lost that the pool began anew, on another host too, and one that its people have moved for well", async () => {
  const { guest, pool } = await begun(["file out/a a", "exit 0", LONG]);
  const vm = running();
  at.twin.byHand("VM.pool_migrate", vm, at.twin.hosts[1]!.ref);
  await until(() => pool.mirror.of("vm").get(vm)?.resident_on === at.twin.hosts[1]!.ref);
  at.twin.rebootHost(0); // nobody of ours is there any more
  at.twin.db.set(at.twin.hosts[1]!.ref, { enabled: false });
  at.twin.rebootHost(1);
  at.twin.byHand("VM.start", vm); // as HA does
  expect(hostOf(vm)).toBe(at.twin.hosts[0]!.ref);
  expect(await guest.ended).toMatchObject(FELL);
});

it("ends no machine where a toolstack begins anew and its host's clock was set, and takes its own end for its own", async () => {
  const { guest, token } = await begun([LONG]);
  const vm = running();
  at.twin.restartToolstack(0, 3_600);
  await until(async () => (await readFile(path.join(String(token["folder"]), "host.json"), "utf8")).includes("1767229200"));
  at.twin.restartToolstack(0, 2);
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("goes on with a machine that its people have suspended while they booted its host", async () => {
  const { guest, pool } = await begun([LONG]);
  const vm = running();
  at.twin.byHand("VM.suspend", vm);
  await until(() => pool.mirror.of("vm").get(vm)?.power_state === "Suspended");
  at.twin.loseHost(0);
  at.twin.rebootHost(0);
  at.twin.hearHost(0);
  await until(() => pool.mirror.of("host").get(at.twin.hosts[0]!.ref)?.other_config["boot_time"] === "1767226200.");
  at.twin.byHand("VM.resume", vm);
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("follows a master that moves by events alone, and hears of an end that came meanwhile", async () => {
  const { guest } = await begun([LONG], { boot: "hvm" });
  const vm = running();
  const since = at.twin.calls.length;
  at.twin.moveMaster();
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
  const [first] = at.twin.calls.slice(since);
  expect(first).toMatchObject({ method: "session.login_with_password" });
});

it("finds another host's master where the one that was has gone, and hears of an end by it", async () => {
  const { guest } = await begun([LONG], { boot: "hvm" });
  const vm = running();
  at.twin.unplug(0);
  at.twin.moveMaster();
  at.twin.world.domains.get(vm)!.end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed" });
});

it("looks at what a task has done that somebody has tidied away", async () => {
  at.twin.tidied = (method) => method === "VM.start" || method === "VM.hard_shutdown";
  const { guest } = await begun([LONG]);
  await guest.stop(0);
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "stopped" });
  expect(at.twin.calls.filter(({ method }) => method === "Async.VM.start")).toHaveLength(1);
});

it("ends and removes a machine of a lease that the pool's people have protected", async () => {
  const { guest } = await begun([LONG]);
  const vm = running();
  at.twin.db.set(vm, { blocked_operations: { hard_shutdown: "keep it", destroy: "keep it" } });
  await guest.stop(0);
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "stopped" });
  await until(() => !at.twin.db.has(vm));
});

/** The moment that a drain waits passes when it is said; `asked`: all that was waited for. */
async function begunInMoments() {
  const moment = Promise.withResolvers<void>();
  const asked: number[] = [];
  const { driver, pool } = await at.open([], {}, (ms) => {
    asked.push(ms);
    return ms === 45_000 ? moment.promise : new Promise((resolve) => void setImmediate(resolve));
  });
  return { guest: await (await driver.prepare(await at.job([LONG]))).begin(), pool, moment, asked };
}

it("moves no machine off a host that is out of service for a moment", async () => {
  const { guest, pool, moment, asked } = await begunInMoments();
  const { ref } = at.twin.hosts[0]!;
  at.twin.db.set(ref, { enabled: false });
  await until(() => asked.includes(45_000));
  at.twin.db.set(ref, { enabled: true });
  await until(() => pool.mirror.of("host").get(ref)?.enabled === true);
  moment.resolve();
  await guest.stop(0);
  expect(await guest.ended).toMatchObject({ reason: "stopped" });
  expect(at.twin.calls.some(({ method }) => method === "Async.VM.pool_migrate")).toBe(false);
});

it("moves no machine that the pool has moved off by itself meanwhile", async () => {
  const { guest, pool, moment, asked } = await begunInMoments();
  const vm = running();
  at.twin.db.set(at.twin.hosts[0]!.ref, { enabled: false });
  await until(() => asked.includes(45_000));
  at.twin.byHand("VM.pool_migrate", vm, at.twin.hosts[1]!.ref);
  await until(() => pool.mirror.of("vm").get(vm)?.resident_on === at.twin.hosts[1]!.ref);
  moment.resolve();
  await guest.stop(0);
  expect(await guest.ended).toMatchObject({ reason: "stopped" });
  expect(at.logged.filter((line) => line.startsWith("a machine "))).toEqual([]);
});
