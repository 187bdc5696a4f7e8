/** The API table against a running broker: authorisation of every endpoint, OpenAPI, bad input. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  API,
  ERROR_CODES,
  consistencyRefs,
  fromHex,
  leafHash,
  toHex,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
  type Route,
} from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { until } from "../until.ts";
import { startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
beforeAll(async () => {
  market = await startMarket({ metrics: { host: "127.0.0.1", port: 0 } });
});
afterAll(() => market.close());

const at = (path: string) => new URL(path, market.broker.url);
const fill = (path: string) => path.replace(":id", "ab".repeat(32)).replace(":level", "0").replace("*", "000");
const ask = async (route: Route, headers: Record<string, string> = {}) => {
  const response = await fetch(at(fill(route.path)), {
    method: route.method,
    headers: { ...headers, ...(route.body ? { "content-type": "application/json" } : {}) },
    body: route.body ? "{}" : null,
  });
  return { status: response.status, body: (await response.json().catch(() => null)) as { error?: { code: string } } | null };
};

describe("authorisation", () => {
  it.each(Object.entries(API) as [string, Route][])("of %s", async (_name, route) => {
    const anonymous = await ask(route);
    const forged = await ask(route, { authorization: `Bearer ${market.customer.identity.party}.x.99999999999999.${"00".repeat(32)}` });
    const token = await market.customer.login();
    const party = await ask(route, { authorization: `Bearer ${token}` });
    if (route.access === "public") expect(anonymous.status).not.toBe(401);
    else expect([anonymous.body?.error?.code, forged.body?.error?.code]).toEqual(["bad_token", "bad_token"]);
    if (route.access === "operator") expect(party.body?.error?.code).toBe("operator_only");
    else expect(party.status).not.toBe(401);
  });

  it("shows a lease to its parties only; to others it does not exist", async () => {
    const stranger = await market.newParty("stranger");
    await expect(stranger.read("lease", { params: { id: "ab".repeat(32) } })).rejects.toMatchObject({ refusal: { code: "not_found" } });
  });
});

describe("bad input", () => {
  const post = async (body: string, path: string = API.submit.path) => {
    const response = await fetch(at(path), { method: "POST", headers: { "content-type": "application/json" }, body });
    return { status: response.status, ...((await response.json()) as { error: { code: string; path?: string } }).error };
  };
  it("is answered with a code of the table, what is wrong and where", async () => {
    expect(await post("{")).toMatchObject({ status: 400, code: "bad_request" });
    expect(await post("{}")).toMatchObject({ status: 400, code: "bad_request", path: "body.envelope" });
    expect(await post('{"envelope":{}}')).toMatchObject({ status: 400, code: "bad_envelope" });
    expect(await post('{"envelope":{},"more":1}')).toMatchObject({ code: "bad_request" });
    expect(await post(JSON.stringify({ envelope: "x".repeat(300_000) }))).toMatchObject({ status: 413, code: "body_too_large" });
    expect((await (await fetch(at("/api/v1/offers?q=cpus%3E2"))).json()) as object).toMatchObject({ error: { code: "bad_condition" } });
    expect((await (await fetch(at("/nowhere"))).json()) as object).toMatchObject({ error: { code: "not_found" } });
    expect((await (await fetch(at("/api/v1/offers?limit=0"))).json()) as object).toMatchObject({
      error: { code: "bad_request", path: "query.limit" },
    });
  });
  it("answers many documents each for itself", async () => {
    const good = market.customer.sign("account", {
      party: market.customer.identity.party,
      parent: market.customer.identity.account,
      name: "a",
      limitNanos: null,
      clientId: market.customer.newId(),
    });
    const response = await fetch(at(API.submitMany.path), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ envelopes: [good.envelope, {}] }),
    });
    const { answers } = (await response.json()) as { answers: [{ id: string }, { error: { code: string } }] };
    expect(answers[0].id).toBe(good.id);
    expect(answers[1].error.code).toBe("bad_envelope");
  });
});

describe("what everyone can read", () => {
  it("is described by OpenAPI 3.1 from the same table", async () => {
    const document = (await (await fetch(at("/api/openapi.json"))).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    expect(document.openapi).toBe("3.1.0");
    expect(
      Object.values(document.paths)
        .flatMap((methods) => Object.values(methods).map(({ operationId }) => operationId))
        .sort(),
    ).toEqual(Object.keys(API).sort());
  });
  it("has health and readiness, and no metrics", async () => {
    expect((await fetch(at("/healthz"))).status).toBe(200);
    expect((await fetch(at("/readyz"))).status).toBe(200);
    expect((await fetch(at("/metrics"))).status).toBe(404);
  });
  it("has metrics on a port of their own, of this market", async () => {
    const lines = (await (await fetch(market.broker.metricsUrl!)).text()).split("\n");
    for (const line of [
      "xeno_broker_database_up 1",
      "xeno_books_balanced 1",
      'xeno_broker_links{kind="servers"} 1',
      "xeno_market_timers_due 0",
    ])
      expect(lines).toContain(line);
    expect(lines.some((line) => line.startsWith("xeno_broker_database_use_duration_seconds_count "))).toBe(true);
  });
  it("lets anyone check the log: tiles, entries, inclusion, consistency", async () => {
    const read = async () =>
      verifyCheckpoint(nodeCrypto, market.customer.pins.keys.checkpoints, await (await fetch(at("/log/checkpoint"))).text())!;
    await until(async () => (await read()).size >= 5);
    const checkpoint = await read();
    const bundle = new Uint8Array(await (await fetch(at(`/log/tile/entries/000.p/${checkpoint.size}`))).arrayBuffer());
    const hashes: string[] = [];
    for (let i = 0; i < bundle.length;) {
      const length = bundle[i]! * 256 + bundle[i + 1]!;
      hashes.push(toHex(leafHash(nodeCrypto, bundle.subarray(i + 2, i + 2 + length))));
      i += 2 + length;
    }
    const tile = new Uint8Array(await (await fetch(at(`/log/tile/0/000.p/${checkpoint.size}`))).arrayBuffer());
    expect(toHex(tile)).toBe(hashes.join(""));
    const { proof } = (await (await fetch(at(`/api/v1/log/inclusion?leaf=${hashes[2]}&size=${checkpoint.size}`))).json()) as {
      proof: string[];
    };
    expect(
      verifyInclusion(
        nodeCrypto,
        fromHex(hashes[2]!)!,
        2,
        checkpoint.size,
        proof.map((hash) => fromHex(hash)!),
        fromHex(checkpoint.root)!,
      ),
    ).toBe(true);
    await market.newParty("another");
    await until(async () => (await read()).size > checkpoint.size);
    const later = await read();
    const consistency = (await (await fetch(at(`/api/v1/log/consistency?from=${checkpoint.size}&to=${later.size}`))).json()) as {
      proof: string[];
    };
    expect(consistency.proof).toHaveLength(consistencyRefs(checkpoint.size, later.size).length);
    expect(
      verifyConsistency(
        nodeCrypto,
        checkpoint.size,
        fromHex(checkpoint.root)!,
        later.size,
        fromHex(later.root)!,
        consistency.proof.map((hash) => fromHex(hash)!),
      ),
    ).toBe(true);
  });
  it("streams a party's events from a cursor on", async () => {
    const { events } = await market.customer.read("events", { query: { limit: 2 } });
    const token = await market.customer.login();
    const response = await fetch(at("/api/v1/events"), {
      headers: { accept: "text/event-stream", authorization: `Bearer ${token}`, "last-event-id": events[0]!.cursor },
    });
    const reader = response.body!.getReader();
    const first = new TextDecoder().decode((await reader.read()).value);
    expect(first).toContain(`id: ${events[1]!.cursor}`);
    await reader.cancel();
  });
  it("says of every code what it is and what to do", () => {
    for (const [code, row] of Object.entries(ERROR_CODES)) expect(row.says.length, code).toBeGreaterThan(20);
  });
});
