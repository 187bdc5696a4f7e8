/** A pool that lets its server in no more, for a moment or for good, played by its twin. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { until } from "../../../../../test/until.ts";

let at: Bench;
beforeEach(async () => {
  at = await bench();
});
afterEach(() => at.close());

const LONG = "sleep 3600000";
const logins = (): number => at.twin.calls.filter(({ method }) => method === "session.login_with_password").length;
const isSaid = (text: string): boolean => at.logged.some((line) => line.startsWith(text));

it("ends no lease and fails no call where log-ins are refused for a while, and tells the owner of both", async () => {
  const { driver } = await at.open();
  const first = await (await driver.prepare(await at.job([LONG]))).begin();
  const second = await (await driver.prepare(await at.job(["print a", LONG]))).begin();
  const before = logins();
  at.twin.badLogins = 6;
  at.twin.expireSessions();
  await Promise.all([first.pause(), second.pause()]);
  expect(logins() - before).toBeGreaterThanOrEqual(7);
  expect(isSaid("the pool has refused a log-in")).toBe(true);
  await until(() => isSaid("the pool lets this server in again"));
  await Promise.all([first.resume(), second.resume()]);
  await first.stop(0);
  expect(await first.ended).toMatchObject({ kind: "result", reason: "stopped" });
});

it("has the result of a machine that ended while log-ins were refused", async () => {
  const { driver } = await at.open();
  const job = await at.job(["file out/a a", "print a", LONG]);
  const guest = await (await driver.prepare(job)).begin();
  await until(async () => (await guest.readStream("stdout", 0)).length > 0);
  at.twin.badLogins = 5;
  at.twin.expireSessions();
  at.twin.domainOf(job.lease).end("halted");
  expect(await guest.ended).toMatchObject({ kind: "result", reason: "completed", tree: [{ kind: "file", path: "out/a" }] });
});

it("says that log-ins are refused for good, and is let in once they are not", async () => {
  const { driver } = await at.open();
  const guest = await (await driver.prepare(await at.job([LONG]))).begin();
  at.twin.badLogins = Infinity;
  at.twin.expireSessions();
  await expect(guest.pause()).rejects.toThrow("SESSION_AUTHENTICATION_FAILED: the pool does not take xapi.user");
  await until(() => isSaid("the pool refuses every log-in"));
  at.twin.badLogins = 0;
  await until(() =>
    guest.pause().then(
      () => true,
      () => false,
    ),
  );
});

it("leaves a pool that refuses log-ins, without waiting for it", async () => {
  let isWaited = false;
  // no wait passes any more once log-ins are refused
  const { driver } = await at.open([], {}, (ms) =>
    at.twin.badLogins > 0 && ms > 1_000
      ? new Promise<void>(() => void (isWaited = true))
      : new Promise((resolve) => void setImmediate(resolve)),
  );
  at.twin.badLogins = Infinity;
  at.twin.expireSessions();
  await until(() => isWaited);
  await driver.close();
  at.twin.badLogins = 0;
});

it("does not wait for a pool that refuses the first log-in of all", async () => {
  at.twin.badLogins = 1;
  await expect(at.open()).rejects.toThrow("the pool does not take xapi.user with that password");
  expect(logins()).toBe(1);
});
