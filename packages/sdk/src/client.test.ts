import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { API, leafHashOf, parseDocument, signPromise } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { MarketClient, fetchMarket } from "./client.ts";
import { RefusedError } from "./errors.ts";
import { identityOf } from "./identity.ts";

const market = new PaperMarket(new Random(1), Date.now());
const OFFERS = { offers: [], resources: { vcpu: 1, memoryMib: 1, diskMib: 1 }, excluded: {}, explanation: "", next: null };

/** Waits that are over at once. */
const timers: Timers = { now: () => Date.now(), after: (_, action) => (setImmediate(action), () => {}), random: () => 0 };
class QuickClient extends MarketClient {
  override readonly timers: Timers = timers;
}

let server: Server;
let url: string;
let client: QuickClient;
let seen: { path: string; token: string | undefined }[];
/** What each path is answered with: status and body, one after the other. */
let answers: Record<string, (readonly [status: number, body: unknown])[]>;

function answerTo({ url: at = "" }: IncomingMessage): readonly [number, unknown] {
  const path = at.split("?")[0] ?? "";
  const queue = answers[path] ?? [];
  return (queue.length > 1 ? queue.shift() : queue[0]) ?? [404, { error: { code: "not_found" } }];
}

const BROKEN_PROMISE = { code: "broken_word", message: expect.stringContaining("promise for this document is not right") as unknown };

beforeEach(async () => {
  [seen, answers] = [[], {}];
  answers[API.challenge.path] = [[200, { challenge: "c".repeat(64) }]];
  answers[API.token.path] = [[200, { token: "tok", party: `p_${"a".repeat(40)}`, expiresAt: Date.now() + 3_600_000 }]];
  answers[API.market.path] = [[200, market.info]];
  answers[API.offers.path] = [[200, OFFERS]];
  server = createServer((request, response) => {
    seen.push({ path: request.url?.split("?")[0] ?? "", token: request.headers.authorization });
    const [status, body] = answerTo(request);
    request.resume().on("end", () => response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  client = new QuickClient(url, market.pins, identityOf(new Uint8Array(32).fill(1)));
});
afterEach(() => server.close());

it("says who asks where an answer depends on it: a search, which needs no token, gets one", async () => {
  await client.read("market");
  await client.read("offers", { query: { on: "mine" } });
  expect(seen.find(({ path }) => path === API.market.path)?.token).toBeUndefined();
  expect(seen.find(({ path }) => path === API.offers.path)?.token).toBe("Bearer tok");
});

it("says that a broker takes its time, and waits for it all the same", async () => {
  const { promise: told, resolve: tell } = Promise.withResolvers<string>();
  const slow = createServer((request, response) => {
    request.resume();
    void told.then(() => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(market.info)));
  });
  await new Promise<void>((resolve) => slow.listen(0, "127.0.0.1", resolve));
  try {
    const at = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
    const waiting = Object.assign(new QuickClient(at, market.pins, identityOf(new Uint8Array(32).fill(1))), { onSlow: tell });
    expect((await waiting.read("market")).origin).toBe(market.info.origin);
    expect(await told).toBe(at);
  } finally {
    slow.close();
  }
});

it("logs in again where its token is not taken any more", async () => {
  answers[API.whoami.path] = [
    [401, { error: { code: "bad_token" } }],
    [200, { party: `p_${"a".repeat(40)}`, name: "c", account: `a_${"a".repeat(40)}`, role: "root", suspended: false, keys: [] }],
  ];
  expect(await client.read("whoami")).toMatchObject({ name: "c" });
  expect(seen.filter(({ path }) => path === API.token.path)).toHaveLength(2);
});

it("logs in once for what is asked at once, and again where that failed", async () => {
  answers[API.token.path]?.unshift([403, { error: { code: "suspended" } }]);
  await expect(client.read("offers")).rejects.toMatchObject({ code: "suspended" });
  await Promise.all([client.read("offers"), client.read("offers")]);
  expect(seen.filter(({ path }) => path === API.token.path)).toHaveLength(2);
});

it("asks again while the broker is busy, and gives up with the broker's own words", async () => {
  answers[API.offers.path] = [
    [503, { error: { code: "unavailable" } }],
    [502, "<html>"],
    [200, OFFERS],
  ];
  expect(await client.read("offers")).toEqual(OFFERS);
  answers[API.whoami.path] = [[403, { error: { code: "key_not_allowed", says: "…", role: "ci", scopes: "spend" } }]];
  await expect(client.read("whoami")).rejects.toMatchObject({
    refusal: { code: "key_not_allowed", facts: { role: "ci", scopes: "spend" } },
  });
});

it("asks again for an answer that was cut half-way, and calls it nobody's broken word", async () => {
  let cuts = 0;
  const text = JSON.stringify(market.info);
  const cutting = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "application/json", "content-length": text.length });
    if (cuts === 0) return void response.end(text);
    cuts--;
    response.write(text.slice(0, 40), () => response.destroy());
  });
  await new Promise<void>((resolve) => cutting.listen(0, "127.0.0.1", resolve));
  try {
    const at = `http://127.0.0.1:${(cutting.address() as AddressInfo).port}`;
    const asking = new QuickClient(at, market.pins, identityOf(new Uint8Array(32).fill(1)));
    cuts = 2;
    expect((await asking.read("market")).origin).toBe(market.info.origin);
    cuts = 100;
    await expect(asking.read("market")).rejects.toMatchObject({ code: "unavailable" });
    expect(await asking.submit(asking.sign("login", { party: asking.identity.party, challenge: "0".repeat(64) }).envelope)).toMatchObject({
      code: "unavailable",
    });
  } finally {
    cutting.close();
  }
});

it("takes no answer that is not what the API says", async () => {
  answers[API.offers.path] = [[200, { ...OFFERS, offers: "many" }]];
  await expect(client.read("offers")).rejects.toMatchObject({
    ...{ code: "broken_word", message: expect.stringContaining("answer (offers) is not what its API says, at 'offers'") },
  });
});

it("takes a list of a broker that knows no pages for all of it", async () => {
  answers[API.statement.path] = [[200, { entries: [] }]];
  expect(await client.read("statement")).toEqual({ entries: [], next: null });
});

it("says what it is that answers, or that nothing does", async () => {
  answers[API.market.path] = [[200, { hello: 1 }]];
  await expect(fetchMarket(url)).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringMatching(/what answers at .* is no broker/),
  });
  // a broker whose database is away is one
  answers[API.market.path] = [[503, { error: { code: "unavailable", why: "for now" } }]];
  await expect(fetchMarket(url)).rejects.toMatchObject({ code: "unavailable", message: expect.not.stringMatching(/is no broker/) });
  for (const odd of ["127.0.0.1:7400", "broker.example", "ftp://broker.example", "http://", "http://a b", `${url},127.0.0.1:7400`, ""])
    await expect(fetchMarket(odd), odd).rejects.toThrow(/is no broker's address: write http:\/\/HOST:PORT/);
  server.close();
  server.closeAllConnections();
  await expect(fetchMarket(url)).rejects.toMatchObject({ code: "unavailable", message: expect.stringMatching(/no broker answers/) });
  await expect(client.read("offers")).rejects.toBeInstanceOf(RefusedError);
});

it("trusts no answer to a document without the broker's promise for it", async () => {
  const document = client.sign("stop", { lease: "a".repeat(64), party: client.identity.party, reason: "" });
  answers[API.submit.path] = [[200, { id: document.id, at: 1, salt: "b".repeat(64) }]];
  await expect(client.submit(document.envelope)).rejects.toMatchObject(BROKEN_PROMISE);
});

it("tells of each document that was taken, and of none that was refused", async () => {
  const told: unknown[] = [];
  client.onFiled = ({ document, at, answer }) => told.push([document.id, at, answer["reason"]]);
  const { id, envelope } = client.sign("stop", { lease: "a".repeat(64), party: client.identity.party, reason: "" });
  answers[API.submit.path] = [[409, { error: { code: "wrong_state" } }]];
  expect(await client.submit(envelope)).toMatchObject({ code: "wrong_state" });
  expect(told).toEqual([]);
  const parsed = parseDocument(nodeCrypto, envelope);
  if (!parsed.ok) throw new Error(parsed.code);
  const salt = "b".repeat(64);
  const { epoch, size } = market.info.log;
  const leaf = leafHashOf(nodeCrypto, parsed.document, 7, salt);
  const promise = signPromise(market.receipts, { origin: market.origin, epoch, size, leaf, mergeBy: 1_007 });
  answers[API.submit.path] = [[200, { id, at: 7, salt, promise, reason: "customer-stop" }]];
  expect(await client.submit(envelope)).toMatchObject({ ok: true });
  expect(told).toEqual([[id, 7, "customer-stop"]]);
});

it("knows the promise for a credit that was booked before under its reference, and takes none for another one's", async () => {
  const credit = (over: object = {}) => {
    const own = {
      party: client.identity.party,
      amountNanos: "5",
      source: "bank" as const,
      reference: "wire-1",
      clientId: client.newId(),
      ...over,
    };
    return client.sign("credit", own);
  };
  const salt = "b".repeat(64);
  const booked = ({ id, envelope }: ReturnType<typeof credit>): [number, unknown] => {
    const parsed = parseDocument(nodeCrypto, envelope);
    if (!parsed.ok) throw new Error(parsed.code);
    const { epoch, size } = market.info.log;
    const leaf = leafHashOf(nodeCrypto, parsed.document, 7, salt);
    const promise = signPromise(market.receipts, { origin: market.origin, epoch, size, leaf, mergeBy: 1_007 });
    return [200, { id, at: 7, salt, promise, document: envelope }];
  };
  const [first, again] = [credit(), credit()];
  answers[API.submit.path] = [booked(first)];
  expect(await client.submit(again.envelope)).toMatchObject({ ok: true, answer: { id: first.id } });
  for (const other of [credit({ amountNanos: "6" }), credit({ reference: "wire-2" }), credit({ source: "card" })]) {
    answers[API.submit.path] = [booked(other)];
    await expect(client.submit(again.envelope)).rejects.toMatchObject(BROKEN_PROMISE);
  }
  const nameless = credit({ reference: "" });
  answers[API.submit.path] = [booked(nameless)];
  await expect(client.submit(credit({ reference: "" }).envelope)).rejects.toMatchObject(BROKEN_PROMISE);
});

it("takes no address that is none, and says so as what its caller handed in", async () => {
  await expect(fetchMarket("ftp://x")).rejects.toMatchObject({
    code: "bad_input",
    message: expect.stringContaining("no broker's address"),
  });
});
