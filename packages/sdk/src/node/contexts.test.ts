import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { writeWhole } from "@xenoservers/protocol/files";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { clientFor, clientOf, currentContext, dropContext, readContexts, saveContext, scopeProblem, type Context } from "./contexts.ts";
import { home } from "./home.ts";

const context: Context = {
  ...{ url: "http://broker.example", pins: new PaperMarket(new Random(1)).pins, currency: "credits", party: `p_${"a".repeat(40)}` },
  ...{ account: `a_${"a".repeat(40)}`, role: "root", scopes: [...ROLE_SCOPES.root], label: "me", leaseLabel: null, seed: "5".repeat(64) },
};

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-home-"));
  vi.stubEnv("XENO_HOME", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true, force: true });
});

const modeOf = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

it("keeps keys where only their owner reads, also where a file was open to others before", async () => {
  await saveContext("one", context);
  expect(await modeOf(home.contexts)).toBe(0o600);
  expect(await modeOf(path.dirname(home.contexts))).toBe(0o700);
  const open = path.join(folder, "open.json");
  await writeFile(open, "x", { mode: 0o644 });
  await writeWhole(open, "secret");
  expect(await modeOf(open)).toBe(0o600);
});

it("keeps the keys of all who log in at the same time, beside what a program left that was killed", async () => {
  await saveContext("first", context);
  await writeFile(`${home.contexts}.lock`, "4194304999");
  const names = Array.from({ length: 12 }, (_, i) => `market-${i}`);
  await Promise.all([...names.map((name) => saveContext(name, context)), dropContext("first", "market-0")]);
  expect(Object.keys((await readContexts()).contexts).toSorted()).toEqual(names.toSorted());
  expect(await readdir(path.dirname(home.contexts))).toEqual(["contexts.json"]);
});

it("adds, uses and drops contexts, and never loses the others", async () => {
  await saveContext("one", context);
  await saveContext("two", { ...context, label: "other" });
  expect((await currentContext()).name).toBe("two");
  await dropContext("two", "one");
  expect(await readContexts()).toEqual({ current: "one", contexts: { one: context } });
  vi.stubEnv("XENO_CONTEXT", "gone");
  await expect(currentContext()).rejects.toThrow("no context is called gone; see `xeno context ls`");
});

it("says what to do where there is no market, or the file is damaged", async () => {
  await expect(currentContext()).rejects.toThrow("no market yet: run `xeno login URL` first");
  await writeWhole(home.contexts, "{");
  await expect(readContexts()).rejects.toThrow(
    /is damaged, or was written by another version of xeno: use that one, or put it aside and restore a backup/,
  );
  const { operatorKey: _, ...old } = context.pins;
  await writeWhole(home.contexts, JSON.stringify({ current: "one", contexts: { one: { ...context, pins: old } } }));
  await expect(readContexts()).rejects.toThrow(/is damaged \(contexts.one.pins.operatorKey\)/);
});

it("neither takes keys that cannot be read for none, nor writes others in their place", async () => {
  await mkdir(home.contexts, { recursive: true }); // as a file of another user is to who is not root
  await expect(currentContext()).rejects.toThrow("EISDIR");
  await expect(saveContext("one", context)).rejects.toThrow("EISDIR");
  expect((await stat(home.contexts)).isDirectory()).toBe(true);
});

it("refuses before anything is sent what the key may not do, and says who could", async () => {
  const reader: Context = { ...context, role: "ci", scopes: ["read"] };
  await saveContext("ci", reader);
  const known = await currentContext();
  const silent = (): void => {};
  expect(() => clientFor(known, ["spend"], silent)).toThrow(
    /takes a key that may spend; the ci key of the context ci may only read.*xeno token create --scopes/,
  );
  expect(clientFor(known, ["read"], silent).identity.scopes).toEqual(["read"]);
  expect(scopeProblem("ci", reader, ["manage"])).toContain("the root key can");
  expect(scopeProblem("me", context, ["manage", "dispute"])).toBeNull();
});

it("makes a client that is what its key is, and writes down what the broker promises", async () => {
  const client = clientOf({ ...context, scopes: ["read"], leaseLabel: "nightly" }, () => {});
  expect(client.identity).toMatchObject({ party: context.party, account: context.account, scopes: ["read"], leaseLabel: "nightly" });
  const document = client.sign("stop", { lease: "7".repeat(64), party: context.party, reason: "" });
  client.onFiled({
    document,
    at: 5,
    promise: { origin: "o", epoch: "e", size: 0, leaf: "l", mergeBy: 1, keyid: "k", sig: "s" },
    answer: {},
  });
  const kept = path.join(folder, "data", "promises");
  const file = path.join(kept, (await readdir(kept))[0] ?? "");
  expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ mergeBy: 1 });
  expect(await modeOf(file)).toBe(0o600);
});

it("goes on with what the broker took where it cannot be kept", async () => {
  const told: string[] = [];
  await writeFile(path.join(folder, "data"), "a file where the folder should be");
  const client = clientOf(context, (text) => void told.push(text));
  const document = client.sign("stop", { lease: "7".repeat(64), party: context.party, reason: "" });
  client.onFiled({
    document,
    at: 5,
    promise: { origin: "o", epoch: "e", size: 0, leaf: "l", mergeBy: 1, keyid: "k", sig: "s" },
    answer: {},
  });
  expect(told.join("")).toMatch(/took the stop; it could not be kept here/);
});

it("says of a token that is none where it stands, in the environment alone", async () => {
  await saveContext("one", context);
  vi.stubEnv("XENO_TOKEN", "garbage");
  await expect(currentContext()).rejects.toThrow(/this is not a token.*XENO_TOKEN holds it.*unset it/);
  await expect(currentContext({ token: "garbage" })).rejects.toThrow(/^this is not a token; make one with `xeno token create`$/);
  await expect(currentContext({ context: "one" })).resolves.toMatchObject({ name: "one" });
});
