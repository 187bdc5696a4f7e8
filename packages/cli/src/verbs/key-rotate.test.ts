import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { SCOPES } from "@xenoservers/market";
import { readContexts, saveContext, type Context } from "@xenoservers/sdk";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { keyRotate } from "./key-rotate.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-key-rotate-"));
  vi.stubEnv("XENO_HOME", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

it("of a key that is no root key asks nobody and leaves the contexts as they are", async () => {
  const device: Context = {
    ...{ url: "http://broker.example", pins: new PaperMarket(new Random(1)).pins, currency: "credits", party: `p_${"a".repeat(40)}` },
    ...{ account: `a_${"a".repeat(40)}`, role: "device", scopes: [...SCOPES], label: "mine", leaseLabel: null, seed: "5".repeat(64) },
  };
  await saveContext("one", device);
  const before = await readContexts();
  await expect(keyRotate({ json: false })).rejects.toThrow("the device key is no root key");
  expect(await readContexts()).toEqual(before);
});
