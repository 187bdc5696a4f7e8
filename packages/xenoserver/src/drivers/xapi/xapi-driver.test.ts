/** The driver of pools passes the suite that every driver passes, on a twin of a pool; on a real one where XENO_XAPI_URL says so. */
import { afterAll, beforeAll } from "vitest";
import { bench, type Bench } from "../../../../../test/xapi/support.ts";
import type { VmInput } from "@xenoservers/sdk";
import { driverContract, type ContractJobs } from "../driver-contract.ts";
import { fakeJob } from "../../testing/fake-customer.ts";
import { addressRange } from "./address-range.ts";
import type { XapiDriver } from "./xapi-driver.ts";

let at: Bench;
let driver: XapiDriver;
let networked: XapiDriver;
beforeAll(async () => {
  at = await bench();
  ({ driver } = await at.open());
  const addresses = addressRange("10.9.0.16-10.9.0.250/24")!;
  ({ driver: networked } = await at.open([], { network: { network: "leases", addresses, gateway: "10.9.0.1", dns: [], mbit: 1 } }));
});
afterAll(() => at.close());

const jobs = (more: Partial<VmInput> = {}): ContractJobs => ({
  foreign: { kind: "wasm", job: fakeJob(["run"]).job },
  prints: (text, exit, ms) =>
    at.job([`print ${text}`, `file stdout ${text}`, `file out/file ${text}`, `sleep ${ms}`, `exit ${exit}`], more),
});

driverContract("xapi", async () => ({ driver, jobs: jobs() }));
driverContract("xapi, with a network card", async () => ({ driver: networked, jobs: jobs({ network: true, egress: "public" }) }));
