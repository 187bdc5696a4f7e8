/** A job may leave as many files as a result can name, with long names: all of it is paid, and all of it must come. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonJob } from "./jobs.ts";
import { orderAndFollow, startMarket, wanted, type TestMarket } from "./market.ts";

const FILES = 80_000;
const NAME_LENGTH = 200;
const DISK_MIB = 512;
const nameOf = (i: number): string => String(i).padStart(NAME_LENGTH, "n");

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket();
});
afterAll(() => market.close());

it("80,000 files with long names are delivered whole", async () => {
  const source = `for i in range(${FILES}):\n  open('/out/' + str(i).rjust(${NAME_LENGTH}, 'n'), 'w').close()`;
  const { resources } = wanted();
  const run = await orderAndFollow(market.customer, await pythonJob(source, { diskMibMax: DISK_MIB }), {
    resources: { ...resources, diskMib: DISK_MIB },
  });
  const end = await run.end();
  expect(end.lease).toMatchObject({ state: "settled", end: { reason: "completed", exitCode: 0, blame: "nobody" } });
  const names = new Set(Object.keys(end.files));
  expect(names.size).toBe(FILES);
  expect(Array.from({ length: FILES }, (_, i) => `out/${nameOf(i)}`).filter((name) => !names.has(name))).toEqual([]);
});
