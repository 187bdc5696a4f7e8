import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { WebSocket } from "ws";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callers } from "./caller.ts";
import { requestIdOf } from "./request-id.ts";
import { World } from "./world.fixture.ts";

describe("what a request is called", () => {
  const named = (id: string | undefined, from: string): string =>
    requestIdOf(callers(["10.0.0.0/8"]), { headers: { "x-request-id": id }, socket: { remoteAddress: from } });

  it("is a proxy's own name, where that is short and plain, and new otherwise", () => {
    expect(named("lb-7.x:Y_1", "10.0.0.7")).toBe("lb-7.x:Y_1");
    expect(named("lb-7", "::ffff:10.0.0.7")).toBe("lb-7");
    for (const bad of ["", "a b", "-a", "ä", "a\nb", "a".repeat(65), undefined])
      expect(named(bad, "10.0.0.7")).toMatch(/^[A-Za-z0-9_-]{12}$/);
    expect(named("lb-7", "11.0.0.7")).not.toBe("lb-7");
    expect(named(undefined, "10.0.0.7")).not.toBe(named(undefined, "10.0.0.7"));
  });
});

describe("an answer", () => {
  let world: World;
  beforeEach(async () => {
    world = new World();
    await world.start();
  });
  afterEach(() => world.close());

  it.each([
    ["GET", "/healthz", 200],
    ["GET", "/api/openapi.json", 200],
    ["GET", "/api/v1/market", 200],
    ["GET", "/api/v1/leases", 401],
    ["GET", "/nowhere", 404],
    ["GET", "/api/v1/%zz", 400],
    ["POST", "/api/v1/documents", 400],
  ] as const)("to %s %s names its request, and an error carries the name", async (method, url, status) => {
    const headers = { "x-request-id": "forged", "content-type": "application/json" };
    const answer = await world.app.inject({ method, url, headers, ...(method === "POST" ? { payload: "{" } : {}) });
    expect(answer.statusCode).toBe(status);
    const id = answer.headers["x-request-id"];
    expect(id).toMatch(/^[A-Za-z0-9_-]{12}$/);
    if (status !== 200) expect(answer.json()).toMatchObject({ error: { requestId: id } });
  });

  it("to what wants to be a link and may not does so too", async () => {
    await world.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = world.app.server.address() as AddressInfo;
    const asked = request({ host: "127.0.0.1", port, path: "/elsewhere", headers: { connection: "upgrade", upgrade: "websocket" } });
    asked.end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    expect(JSON.parse(await text(answer))).toMatchObject({ error: { code: "not_found", requestId: answer.headers["x-request-id"] } });
  });

  it.each(["GET", "POST"])("to %s that offers another protocol, as curl --http2 does, is as without the offer", async (method) => {
    await world.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = world.app.server.address() as AddressInfo;
    const ask = async (headers: Record<string, string>): Promise<[number | undefined, unknown]> => {
      const path = method === "GET" ? "/api/v1/market" : "/api/v1/documents";
      const asked = request({ host: "127.0.0.1", port, path, method, headers: { "content-type": "application/json", ...headers } });
      asked.end(method === "GET" ? undefined : "{}");
      const [answer] = (await once(asked, "response")) as [IncomingMessage];
      const { error, origin } = JSON.parse(await text(answer)) as { error?: { code: string; path: string }; origin?: string };
      return [answer.statusCode, error ? [error.code, error.path] : origin];
    };
    const offer = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA" };
    const answer = await ask(offer);
    expect(answer).toEqual(await ask({}));
    expect(answer[0]).toBe(method === "GET" ? 200 : 400);
  });

  it("to what becomes a link names it, and what fails on it is told with that name", async () => {
    await world.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = world.app.server.address() as AddressInfo;
    const link = new WebSocket(`ws://127.0.0.1:${port}/api/v1/link`);
    const [[answer], [challenge]] = (await Promise.all([once(link, "upgrade"), once(link, "message")])) as [[IncomingMessage], [Buffer]];
    const requestId = answer.headers["x-request-id"];
    expect(requestId).toMatch(/^[A-Za-z0-9_-]{12}$/);
    const { challenge: asked } = JSON.parse(challenge.toString()) as { challenge: string };
    const { id: party, root } = await world.party();
    world.store.load = () => Promise.reject(new Error("it is gone"));
    const login = world.sign(root, "login", { party, challenge: asked }).envelope;
    link.send(JSON.stringify({ t: "hello", protocol: 1, login, clock: world.now }));
    await once(link, "close");
    expect(world.faults).toMatchObject([{ what: "a message of a link failed", requestId }]);
  });

  it("that the database kept from being given is one fault, told with the request and its lease", async () => {
    const lease = "ab".repeat(32);
    const full = Object.assign(new Error("could not extend file: No space left on device"), { code: "53100" });
    const { id: party, root } = await world.party();
    const key = (await world.store.load("key", [root.publicKey])).get(root.publicKey)!.data;
    const headers = { authorization: `Bearer ${world.sessions.token({ by: "party", party, key }).token}` };
    world.store.load = () => Promise.reject(full);
    const answer = await world.app.inject({ method: "GET", url: `/api/v1/leases/${lease}`, headers });
    expect(answer.json()).toMatchObject({ error: { code: "unavailable" } });
    const what = "requests find no database, or no signature";
    expect(world.faults).toEqual([{ what, error: full, requestId: answer.headers["x-request-id"], route: "lease", lease }]);
  });
});
