/** A program that logs in, and changes its root key while it has jobs, on a real market. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fingerprintOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { Market, login, readContexts } from "@xenoservers/sdk";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { endless, saying } from "../process/jobs.ts";
import { startMarket, type TestMarket } from "../process/market.ts";

let market: TestMarket;
let home: string;
beforeAll(async () => {
  market = await startMarket();
  home = await mkdtemp(path.join(tmpdir(), "xeno-sdk-keys-"));
  vi.stubEnv("XENO_HOME", home);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await market.close();
  await rm(home, { recursive: true, force: true });
});

it("goes on by the new key: jobs that ran before, and what it orders then", async () => {
  const { url, pins } = market.customer;
  const { name, context } = await login(url, { fingerprint: fingerprintOf(nodeCrypto, pins), name: "rita" });
  const { party } = context;
  await market.operator("credit", {
    ...{ party, amountNanos: "10000000000", source: "operator", reference: "", clientId: market.customer.newId() },
  });
  const sdk = await Market.connect({ context: name });
  const job = await sdk.run({ module: await endless(), budget: "0.20" });
  const printed = job.output[Symbol.asyncIterator]();
  expect((await printed.next()).value).toMatchObject({ text: "go\n" });
  const before = sdk.client.identity.signer.publicKey;
  const { key } = await sdk.keys.rotate();
  const keys = await sdk.keys.list();
  expect(keys.filter(({ revokedAt }) => revokedAt === null).map((each) => each.key)).toEqual([key]);
  expect(keys.find((each) => each.key === before)?.revokedAt).not.toBe(null);
  await job.stop();
  expect(await job.result).toMatchObject({ stdout: "go\n", end: { reason: "customer-stop" } });
  const device = await sdk.keys.add("laptop");
  expect((await sdk.keys.revoke("laptop")).key).toBe(device.key);
  const again = await Market.connect();
  const { ok, stdout } = await (await again.run({ module: await saying("by the new key\n"), budget: "0.10" })).result;
  expect([ok, stdout, Object.keys((await readContexts()).contexts)]).toEqual([true, "by the new key\n", [name]]);
});
