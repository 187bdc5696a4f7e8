/** A lease that ends while its guest is being made: nothing runs for nobody, and nothing is left. */
import { access, readdir } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { Gate, gated, type Gates } from "./gates.ts";
import { endless, moduleJob } from "./jobs.ts";
import { orderAndFollow, startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
const gates: Gates = { prepare: null, begin: null, begun: [] };

beforeAll(async () => {
  market = await startMarket({ wrapDriver: gated(gates) });
});
afterAll(() => market.close());

it.each(["prepare", "begin"] as const)("stopped during its %s, it is billed as stopped, and its guest does not go on", async (at) => {
  const gate = new Gate();
  Object.assign(gates, { prepare: null, begin: null, [at]: gate });
  const before = gates.begun.length;
  const { customer } = market;
  const going = await orderAndFollow(customer, moduleJob(await endless()));
  await gate.arrived;
  await customer.act("stop", { lease: going.session.lease, party: customer.identity.party, reason: "not wanted any more" });
  const ended = going.end();
  if (at === "prepare") expect((await ended).lease.end).toMatchObject({ reason: "customer-stop" });
  gate.open();
  expect((await ended).lease.end).toMatchObject({ reason: "customer-stop", exitCode: null });
  expect(gates.begun.length).toBe(before + (at === "begin" ? 1 : 0));
  for (const guest of gates.begun.slice(before)) await guest.ended;
  const workers = path.join(market.folder, "server/workers");
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
    return leases.reduce<number>((sum, each) => sum + each, 0) <= gates.begun.length;
  });
});
