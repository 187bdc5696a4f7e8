import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { keysFile, makeBrokerKeys, readBrokerKeys } from "./broker-keys.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-keys-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("damaged keys are said with what to do, and are left as they are", async () => {
  const file = keysFile(folder);
  for (const text of ["", "{bad", "null", '{"origin":"m"}']) {
    await writeFile(file, text);
    await expect(readBrokerKeys(folder)).rejects.toThrow(/broker-keys\.json does not hold the broker's keys.*put back your copy/);
    expect(await readFile(file, "utf8")).toBe(text);
  }
});

it("reading makes no keys, and making overwrites none", async () => {
  await expect(readBrokerKeys(folder)).rejects.toThrow(/there are no broker's keys in .*--data/);
  expect(await readdir(folder)).toEqual([]);
  const { origin, keys } = await makeBrokerKeys(keysFile(folder), "market.example");
  expect(origin).toBe(`market.example/${keys.checkpoints.publicKey.slice(0, 12)}`);
  await expect(makeBrokerKeys(keysFile(folder), "other")).rejects.toThrow("EEXIST");
  expect((await readBrokerKeys(folder)).keys.receipts.publicKey).toBe(keys.receipts.publicKey);
});
