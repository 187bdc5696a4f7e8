/** A hundred leases at once from one process: all end well, and what the process holds for each is bounded. */
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { saying } from "../process/jobs.ts";
import { startMarket, type TestMarket } from "../process/market.ts";
import { customerOf, type Customer } from "./customer.ts";

const run = promisify(execFile);
const AT_ONCE = 100;
/** Of a lease that is followed: its job, output, documents and receipt. */
const LEASE_MIB_MAX = 1;

let market: TestMarket;
let customer: Customer;
beforeAll(async () => {
  // a server with room for all of them: its self-test asks how many processors there are
  vi.spyOn(os, "availableParallelism").mockReturnValue(AT_ONCE);
  syncBuiltinESMExports();
  market = await startMarket();
  customer = await customerOf(market, "many");
});
afterAll(async () => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
  await market.close();
});

it(`follows ${AT_ONCE} at once`, async () => {
  const module = path.join(market.folder, "hello.wasm");
  await writeFile(module, await saying("hello\n"));
  const env = { ...process.env, XENO_HOME: customer.home };
  const { stdout } = await run(process.execPath, ["--expose-gc", "test/sdk/many-leases.ts", module, String(AT_ONCE)], { env });
  const figures = JSON.parse(stdout) as Record<"right" | "leases" | "underMax" | "grownMib" | "leftMib", number>;
  console.log(stdout.trim());
  expect(figures).toMatchObject({ right: AT_ONCE, leases: AT_ONCE });
  expect(figures.underMax).toBeGreaterThan(AT_ONCE / 2);
  expect(figures.grownMib).toBeLessThanOrEqual(AT_ONCE * LEASE_MIB_MAX);
  expect(figures.leftMib).toBeLessThanOrEqual((AT_ONCE * LEASE_MIB_MAX) / 2);
});
