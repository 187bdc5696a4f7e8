/** Keys in a file, and back on this machine or another. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { toHex } from "@xenoservers/protocol";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { channelSecretOf } from "../identity.ts";
import { readContexts, saveContext, type Context } from "./contexts.ts";
import { backupKeys, restoreKeys } from "./key-backup.ts";

const context = (over: Partial<Context> = {}): Context => ({
  ...{ url: "http://broker.example", pins: new PaperMarket(new Random(1)).pins, currency: "credits", party: `p_${"a".repeat(40)}` },
  ...{ account: `a_${"a".repeat(40)}`, role: "root", scopes: [...ROLE_SCOPES.root], label: "me", leaseLabel: null },
  seed: randomBytes(32).toString("hex"),
  ...over,
});
const rotated = (before: Context): Context => ({
  ...context(),
  formerChannelSecrets: [toHex(channelSecretOf(Buffer.from(before.seed, "hex"))), ...(before.formerChannelSecrets ?? [])],
});

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-backup-"));
  file = path.join(folder, "keys.json");
  vi.stubEnv("XENO_HOME", path.join(folder, "one"));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});
const onAnother = () => vi.stubEnv("XENO_HOME", path.join(folder, "another"));

it("comes back whole on a machine that has no keys", async () => {
  await saveContext("one", context());
  await saveContext("two", context(), { current: "one" });
  const before = await readContexts();
  expect(await backupKeys(file)).toEqual(["one", "two"]);
  const kept = await readFile(file, "utf8");
  await expect(backupKeys(file)).rejects.toMatchObject({ code: "bad_input" });
  expect(await readFile(file, "utf8")).toBe(kept);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  onAnother();
  expect(await restoreKeys(file)).toEqual({ restored: ["one", "two"], there: [], differs: [] });
  expect(await readContexts()).toEqual(before);
  expect(await restoreKeys(file)).toEqual({ restored: [], there: ["one", "two"], differs: [] });
});

it("takes the place of a key that was rotated to it, and of no other", async () => {
  const [first, mine, other] = [context(), context(), context()];
  const second = rotated(first);
  const third = rotated(second);
  await saveContext("latest", third);
  await saveContext("old", first);
  await saveContext("mine", mine);
  await backupKeys(file);
  onAnother();
  await saveContext("latest", first);
  await saveContext("old", second);
  await saveContext("mine", other);
  expect(await restoreKeys(file)).toEqual({ restored: ["latest"], there: ["old"], differs: ["mine"] });
  expect(await readContexts()).toEqual({ current: "mine", contexts: { latest: third, old: second, mine: other } });
});

it("is refused where it is none, or there is nothing to keep", async () => {
  await expect(backupKeys(file)).rejects.toMatchObject({ code: "no_context" });
  await expect(restoreKeys(file)).rejects.toMatchObject({ code: "bad_input", message: `there is no file ${file}` });
  for (const text of ["", "{", "[]", '{"current":null,"contexts":{"a":{}}}']) {
    await writeFile(file, text);
    await expect(restoreKeys(file)).rejects.toMatchObject({ code: "bad_input" });
  }
  expect(await readdir(folder)).toEqual(["keys.json"]);
});

it("is called off before anything is written", async () => {
  await saveContext("one", context());
  const signal = AbortSignal.abort();
  await expect(backupKeys(file, { signal })).rejects.toMatchObject({ code: "aborted" });
  await expect(readFile(file)).rejects.toMatchObject({ code: "ENOENT" });
  await backupKeys(file);
  onAnother();
  await expect(restoreKeys(file, { signal })).rejects.toMatchObject({ code: "aborted" });
  expect((await readContexts()).contexts).toEqual({});
});
