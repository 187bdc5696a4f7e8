/** The driver of pools passes the suite that every driver passes, on a twin of a pool; on a real one where XENO_XAPI_URL says so. */
import { afterAll, beforeAll } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import { driverContract } from "../driver-contract.ts";
import { fakeJob } from "../../testing/fake-customer.ts";
import type { XapiDriver } from "./xapi-driver.ts";

let at: Bench;
let driver: XapiDriver;
beforeAll(async () => {
  at = await bench();
  ({ driver } = await at.open());
});
afterAll(() => at.close());

driverContract("xapi", async () => ({
  driver,
  jobs: {
    foreign: { kind: "wasm", job: fakeJob(["run"]).job },
    prints: (text, exit, ms) => at.job([`print ${text}`, `file stdout ${text}`, `file out/file ${text}`, `sleep ${ms}`, `exit ${exit}`]),
  },
}));
