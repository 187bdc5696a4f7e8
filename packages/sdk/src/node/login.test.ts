/** A program that logs in, against a broker on paper. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fingerprintOf } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { formatCiToken } from "../ci-token.ts";
import { readContexts } from "./contexts.ts";
import { login, type ShownMarket } from "./login.ts";
import { Market } from "./market.ts";

let folder: string;
let market: PaperMarket;
let broker: PaperBroker;
let fingerprint: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-login-"));
  vi.stubEnv("XENO_HOME", folder);
  market = new PaperMarket(new Random(4), Date.now());
  broker = await PaperBroker.start(market);
  fingerprint = fingerprintOf(nodeCrypto, market.pins);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  broker.close();
  await rm(folder, { recursive: true, force: true });
});

const kinds = (): string[] => broker.filed.map(({ kind }) => kind);
const usual = (): string => market.pins.origin.split("/")[0]!;

it("is what Market.connect takes, and the same party the next time", async () => {
  const first = await login(broker.url, { fingerprint, name: "carl" });
  expect(first).toMatchObject({ name: usual(), fingerprint, context: { role: "root", label: "carl", pins: market.pins } });
  expect(broker.filed).toMatchObject([{ kind: "party", payload: { name: "carl", party: first.context.party } }]);
  const { client } = await Market.connect({ context: first.name });
  expect(client.identity.party).toBe(first.context.party);
  const witnesses = [{ name: "w1", key: "a".repeat(64) }];
  // nobody compares again what was pinned
  const again = await login(broker.url, { witnesses });
  expect(again.context).toEqual({ ...first.context, witnesses });
  expect((await login(broker.url)).context).toEqual(again.context);
  expect(kinds()).toEqual(["party"]);
});

it("pins nothing that nobody has compared", async () => {
  const shown: ShownMarket[] = [];
  await expect(login(broker.url)).rejects.toMatchObject({ code: "bad_input", message: expect.stringContaining("nothing was pinned") });
  const wrong = login(broker.url, { fingerprint: "0".repeat(32), onMarket: (each) => void shown.push(each), agree: () => true });
  await expect(wrong).rejects.toMatchObject({ code: "bad_input", message: expect.stringContaining(fingerprint) });
  expect(shown).toEqual([]);
  await expect(login(broker.url, { agree: (each) => shown.push(each) === 0 })).rejects.toThrow("nothing was pinned");
  expect(shown).toEqual([{ origin: market.pins.origin, fingerprint }]);
  expect([kinds(), (await readContexts()).contexts]).toEqual([[], {}]);
  await login(broker.url, { agree: (each) => shown.push(each) > 0 });
  expect(shown).toHaveLength(2);
});

it("takes a token for the market that is pinned in it, beside one's own key", async () => {
  const { context } = await login(broker.url, { fingerprint });
  const key = { ...{ party: context.party, role: "ci" as const, label: "n", scopes: ["read" as const] }, account: null };
  const seed = "7".repeat(64);
  const token = formatCiToken({ url: broker.url, pins: market.pins, seed, key: { ...key, leaseLabel: null, expiresAt: null } });
  expect(await login(undefined, { token })).toMatchObject({ name: `${usual()}-ci`, context: { seed, scopes: ["read"] } });
  await expect(login(undefined, { token, context: usual() })).rejects.toMatchObject({ code: "no_context" });
  expect((await readContexts()).contexts[usual()]).toEqual(context);
  const other = await PaperBroker.start(new PaperMarket(new Random(5)));
  await expect(login(other.url, { token })).rejects.toThrow("shows other keys than the token pins");
  other.close();
  await expect(login(undefined)).rejects.toMatchObject({ code: "bad_input" });
});

it("takes no other market's place, and none of JavaScript's own names for one", async () => {
  const other = await PaperBroker.start(new PaperMarket(new Random(5)));
  const pinned = await login(other.url, { agree: () => true, context: "mine" });
  await expect(login(broker.url, { agree: () => true, context: "mine" })).rejects.toThrow("the context mine pins other keys");
  expect((await readContexts()).contexts).toEqual({ mine: pinned.context });
  other.close();
  expect((await login(broker.url, { fingerprint, context: "constructor" })).name).toBe("constructor");
});

it("twice at once is one party", async () => {
  const both = await Promise.all([login(broker.url, { fingerprint }), login(broker.url, { fingerprint })]);
  expect(both[0].context).toEqual(both[1].context);
  expect(kinds()).toEqual(["party"]);
});

it("is called off until its key is on its way, and then keeps it", async () => {
  await expect(login(broker.url, { fingerprint, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  const asked = new AbortController();
  const hangs = login(broker.url, { signal: asked.signal, agree: () => (asked.abort(), Promise.withResolvers<boolean>().promise) });
  await expect(hangs).rejects.toMatchObject({ code: "aborted" });
  expect([kinds(), (await readContexts()).contexts]).toEqual([[], {}]);
  const late = new AbortController();
  broker.answer = () => (late.abort(), { ok: true, answer: {} });
  const { name, context } = await login(broker.url, { fingerprint, signal: late.signal });
  expect((await readContexts()).contexts[name]).toEqual(context);
});

it("keeps nothing where the market does not take its key", async () => {
  broker.answer = () => ({ ok: false, code: "suspended", facts: {} });
  await expect(login(broker.url, { fingerprint })).rejects.toMatchObject({ code: "suspended" });
  expect((await readContexts()).contexts).toEqual({});
});
