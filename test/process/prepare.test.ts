/** A lease that ends while its guest is being made: nothing runs for nobody, and nothing is left. */
import { access, readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { GuestDriver, RunningGuest } from "@xenoservers/xenoserver";
import { orderAndFollow, pythonJob, startMarket, until, type TestMarket } from "./market.ts";

let market: TestMarket;
let arrived = Promise.withResolvers<void>();
let goOn = Promise.withResolvers<void>();
let slow: "prepare" | "begin" = "prepare";
const begun: RunningGuest[] = [];

/** The machine's own driver, which stands still at one point until it is told to go on. */
const slowly = (driver: GuestDriver): GuestDriver => ({
  ...driver,
  async prepare(job) {
    const wait = async (at: typeof slow): Promise<void> => {
      if (at !== slow) return;
      arrived.resolve();
      await goOn.promise;
    };
    const prepared = await driver.prepare(job);
    await wait("prepare");
    return {
      ...prepared,
      async begin() {
        await wait("begin");
        const guest = await prepared.begin();
        begun.push(guest);
        return guest;
      },
    };
  },
});

beforeAll(async () => {
  market = await startMarket();
  await market.daemon.close();
  await market.addServer("slow", market.owner, { wrapDriver: slowly });
});
afterAll(() => market.close());

it.each(["prepare", "begin"] as const)("stopped during its %s, it is billed as stopped, and its guest does not go on", async (at) => {
  slow = at;
  [arrived, goOn] = [Promise.withResolvers(), Promise.withResolvers()];
  const before = begun.length;
  const { customer } = market;
  const going = await orderAndFollow(customer, await pythonJob("import time\nwhile True: time.sleep(0.1)"), { conditions: [] });
  await arrived.promise;
  await customer.act("stop", { lease: going.session.lease, party: customer.identity.party, reason: "not wanted any more" });
  const ended = going.end();
  if (at === "prepare") expect((await ended).lease.end).toMatchObject({ reason: "customer-stop" });
  goOn.resolve();
  expect((await ended).lease.end).toMatchObject({ reason: "customer-stop", exitCode: null });
  expect(begun.length).toBe(before + (at === "begin" ? 1 : 0));
  for (const guest of begun.slice(before)) await guest.ended;
  const workers = path.join(market.folder, "slow/workers");
  await until(async () => {
    const leases = await Promise.all(
      (await readdir(workers)).map((name) =>
        access(path.join(workers, name, "lease")).then(
          () => 1,
          () => 0,
        ),
      ),
    );
    // what ended with a result is kept for its customer
    return leases.reduce<number>((sum, each) => sum + each, 0) <= begun.length;
  });
});
