/** A program's tokens, accounts, batches and leases by `Market` on a real market, without a word of the command line. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { isLive } from "@xenoservers/market";
import { Market } from "@xenoservers/sdk";
import { endless, saying } from "../process/jobs.ts";
import { startMarket, type TestMarket } from "../process/market.ts";
import { customerOf } from "./customer.ts";

let market: TestMarket;
let sdk: Market;
beforeAll(async () => {
  market = await startMarket();
  sdk = Market.of((await customerOf(market, "payer")).client);
});
afterAll(() => market.close());

it("makes a token for another program, which does what it was granted until it is revoked", async () => {
  await expect(sdk.tokens.create()).rejects.toMatchObject({ code: "bad_input", message: expect.stringContaining("maxPerDay") as string });
  const { account } = await sdk.wallet.addAccount("nightly", { limit: "0.50" });
  const made = await sdk.tokens.create({ label: "nightly", account: "nightly", maxPerDay: "0.25", expires: "1h" });
  expect(made).toMatchObject({ account, label: "nightly", scopes: ["spend", "control", "read"], maxPerDayNanos: 250_000_000n });
  expect((await sdk.tokens.list()).map(({ key }) => key)).toEqual([made.key]);

  const theirs = await Market.connect({ token: made.token });
  const job = await theirs.run({ module: await saying("by a token\n"), budget: "0.10" });
  expect(await job.result).toMatchObject({ ok: true, stdout: "by a token\n" });
  await expect(theirs.tokens.create({ scopes: ["read"] })).rejects.toMatchObject({ code: "no_context" });

  expect((await sdk.tokens.revoke("nightly")).key).toBe(made.key);
  expect(await sdk.tokens.list()).toEqual([]);
  expect((await sdk.tokens.list({ all: true })).map(({ key }) => key)).toEqual([made.key]);
  await expect(theirs.wallet.balances()).rejects.toMatchObject({ code: "key_revoked" });
});

it("bounds its accounts, holds for many leases at once, and says what moved", async () => {
  const { account } = await sdk.wallet.addAccount("tests");
  expect(await sdk.wallet.limit("tests", "0.40")).toBe(account);
  expect((await sdk.wallet.accounts()).find(({ id }) => id === account)?.limitNanos).toBe("400000000");
  await expect(sdk.wallet.openBatch({ budget: "0.50", expires: "1h", account: "tests" })).rejects.toMatchObject({ code: "limit_reached" });
  const available = async (): Promise<bigint> => BigInt((await sdk.wallet.balances()).available);
  const before = await available();
  const { batch, answer } = await sdk.wallet.openBatch({ budget: "0.30", expires: "1h", account: "tests" });
  expect([answer["batch"], before - (await available())]).toEqual([batch, 300_000_000n]);
  const job = await sdk.run({ module: await saying("of a batch\n"), budget: "0.10", batch, account: "tests" });
  const { bill } = await job.result;
  const { returnedNanos } = await sdk.wallet.closeBatch(batch);
  expect(returnedNanos).toBe(300_000_000n - bill.dueNanos);
  const moved: bigint[] = [];
  for await (const { amountNanos } of sdk.wallet.statement()) moved.push(BigInt(amountNanos));
  expect(moved).toContain(300_000_000n);
  expect(moved).toContain(returnedNanos);
});

it("lets a lease run longer, ends it, and objects to nothing that is as it should be", async () => {
  const job = await sdk.run({ module: await endless(), budget: "0.20", maxTime: "10m", pay: "by-interval" });
  await job.running;
  const before = await sdk.lease(job.lease);
  const { durationMsMax, holdNanos } = await sdk.extend(job.lease, "10m");
  expect(durationMsMax).toBe(before.durationMsMax + 600_000);
  expect(holdNanos).toBeGreaterThan(BigInt(before.holdNanos));
  await expect(sdk.extend(job.lease, 0)).rejects.toMatchObject({ code: "bad_input" });
  // refused in words, with nothing signed
  const calls: string[] = [];
  Object.assign(sdk.client, { onCall: ({ method }: { method: string }) => void calls.push(method) });
  const words = expect.stringMatching(/^by must be at least \d+ ms for this lease$/);
  await expect(sdk.extend(job.lease, 1)).rejects.toMatchObject({ code: "bad_input", message: words });
  expect(calls).not.toContain("POST");
  const asked: string[] = [];
  const ended = await sdk.stop(job.lease, { onAsked: () => void asked.push("asked") });
  expect([isLive(ended.state), asked]).toEqual([false, ["asked"]]);
  expect(await sdk.stop(job.lease, { onAsked: () => void asked.push("again") })).toMatchObject({ id: job.lease });
  expect(asked).toEqual(["asked"]);
  await job.result;
  const expected = BigInt((await sdk.lease(job.lease)).end?.dueNanos ?? "0");
  await expect(sdk.object(job.lease, { reason: "no reason", expected })).rejects.toMatchObject({ code: "bad_input" });
  const no = (): never => {
    throw new Error("too dear");
  };
  await expect(sdk.object(job.lease, { reason: "it was slow", onTerms: no })).rejects.toThrow("too dear");
  await sdk.object(job.lease, { reason: "it was slow" });
  expect(await sdk.lease(job.lease)).toMatchObject({ state: "disputed", objection: { by: "customer" } });
});

it("writes all that the market knows of its party, receipts that hold among it", async () => {
  const out = await mkdtemp(path.join(tmpdir(), "xeno-sdk-export-"));
  const ids: string[] = [];
  for await (const { id } of sdk.leases()) ids.push(id);
  expect(ids.length).toBeGreaterThan(1);
  expect(await sdk.export(out)).toEqual({ leases: ids.length });
  const { leases } = JSON.parse(await readFile(path.join(out, "leases.json"), "utf8")) as { leases: { id: string }[] };
  expect(leases.map(({ id }) => id)).toEqual(ids);
  for (const id of ids) {
    const { ok, whose } = await sdk.verify(path.join(out, `receipt-${id}.json`));
    expect([ok, whose]).toEqual([true, expect.anything()]);
  }
  await rm(out, { recursive: true });
});
