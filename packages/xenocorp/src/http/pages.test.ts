/** A browser lets the pages that the operator names read what the broker answers, and no other; their links are refused before they are any. */
import { connect, type AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { World } from "./world.fixture.ts";

const PAGE = "https://app.example";
let world: World;
afterEach(() => world.close());

async function opened(pages: string[]): Promise<void> {
  world = new World();
  world.pages = pages;
  await world.start();
}

const read = (origin: string) => world.app.inject({ url: "/api/v1/market", headers: { origin } });
const asked = (origin: string, url = "/api/v1/submit") =>
  world.app.inject({
    ...{ method: "OPTIONS", url },
    headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type" },
  });

/** The first line that comes back for a link that a page, or whoever is none, asks for. */
function linkFrom(...headers: string[]): Promise<string> {
  const upgrade = ["connection: Upgrade", "upgrade: websocket", "sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=="];
  const [host = "host: localhost"] = headers.filter((each) => each.startsWith("host: "));
  return firstOf("/api/v1/link", [host, ...upgrade, ...headers.filter((each) => each !== host)]);
}

/** What begins the answer to a request over a real connection of this machine. */
async function firstOf(url: string, headers: readonly string[]): Promise<string> {
  if (!world.app.server.listening) await world.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = world.app.server.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", reject);
    socket.on("data", (bytes) => {
      resolve(bytes.toString("latin1"));
      socket.destroy();
    });
    socket.write([`GET ${url} HTTP/1.1`, ...headers, "\r\n"].join("\r\n"));
  });
}

describe("a broker that names a page", () => {
  it("lets it read answers, refusals too, and no other page", async () => {
    await opened([PAGE]);
    const { headers } = await read(PAGE);
    expect(headers).toMatchObject({ "access-control-allow-origin": PAGE, vary: "origin" });
    expect(headers["access-control-expose-headers"]).toContain("x-request-id");
    expect(headers["access-control-allow-credentials"]).toBeUndefined();
    const nothing = await world.app.inject({ url: "/api/v1/nothing", headers: { origin: PAGE } });
    expect([nothing.statusCode, nothing.headers["access-control-allow-origin"]]).toEqual([404, PAGE]);
    for (const other of ["https://app.example.evil.example", "http://app.example", "https://app.example:8443", "null", ""]) {
      expect((await read(other)).headers["access-control-allow-origin"], other).toBeUndefined();
    }
    // or a cache in between gives a page what was told to another
    expect((await read("https://evil.example")).headers["vary"]).toBe("origin");
    expect((await world.app.inject("/api/v1/market")).headers["access-control-allow-origin"]).toBeUndefined();
  });

  it("says beforehand what its scripts may send", async () => {
    await opened([PAGE]);
    const told = await asked(PAGE);
    expect(told.statusCode).toBe(204);
    expect(told.headers).toMatchObject({
      "access-control-allow-methods": "GET, POST",
      "access-control-allow-headers": "authorization, content-type",
    });
    expect((await asked("https://evil.example")).headers["access-control-allow-headers"]).toBeUndefined();
  });

  it("takes its links, refuses those of other pages, and asks nobody who is no page", async () => {
    await opened([PAGE]);
    expect(await linkFrom(`origin: ${PAGE}`)).toMatch(/^HTTP\/1\.1 101 /);
    expect(await linkFrom()).toMatch(/^HTTP\/1\.1 101 /);
    for (const other of ["https://evil.example", "null"]) {
      const refused = await linkFrom(`origin: ${other}`);
      expect(refused).toMatch(/^HTTP\/1\.1 403 /);
      expect(refused).toContain("page_not_allowed");
    }
  });
});

it("a broker that names no page lets none in", async () => {
  await opened([]);
  expect((await read(PAGE)).headers["access-control-allow-origin"]).toBeUndefined();
  expect((await asked(PAGE)).headers["access-control-allow-methods"]).toBeUndefined();
  expect(await linkFrom(`origin: ${PAGE}`)).toMatch(/^HTTP\/1\.1 403 /);
  expect(await linkFrom()).toMatch(/^HTTP\/1\.1 101 /);
});

it("a broker that names any page says so to all alike", async () => {
  await opened(["*"]);
  expect((await read("https://evil.example")).headers["access-control-allow-origin"]).toBe("*");
  expect(await linkFrom("origin: https://evil.example")).toMatch(/^HTTP\/1\.1 101 /);
});

it("what a page asks beforehand costs what anybody's questions cost", async () => {
  world = new World(undefined, { requestsPerSecond: 1 });
  world.pages = [PAGE];
  await world.start();
  const codes = new Set<number>();
  for (let i = 0; i < 20; i++) codes.add((await asked(PAGE)).statusCode);
  expect(codes).toEqual(new Set([204, 429]));
});

describe("a broker that hears this machine alone", () => {
  const OURS = ["localhost:7400", "127.0.0.1:7400", "127.1.2.3", "[::1]:7400", "broker.localhost", "test", "TEST:80", "192.0.2.7:7400"];
  const STRANGERS = [
    "evil.example",
    "evil.example:7400",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "test.evil.example",
    "xlocalhost",
  ];

  it("answers under its own names, and under none that a page from elsewhere could have made lead here", async () => {
    await opened([]);
    for (const url of ["/api/v1/market", "/", "/healthz", "/api/v1/nothing"]) {
      for (const host of OURS) expect(await firstOf(url, [`host: ${host}`]), `${host}${url}`).not.toContain("page_not_allowed");
      for (const host of STRANGERS) {
        const answer = await firstOf(url, [`host: ${host}`]);
        expect(answer, `${host}${url}`).toMatch(/^HTTP\/1\.1 403 /);
        expect(answer).toContain(`"page":"${host}"`);
      }
    }
    expect(await linkFrom("host: localhost:7400")).toMatch(/^HTTP\/1\.1 101 /);
    expect(await linkFrom("host: evil.example:7400")).toMatch(/^HTTP\/1\.1 403 /);
  });

  it("answers under a page's name that its operator names, and behind a named proxy under any", async () => {
    await opened([PAGE]);
    expect(await firstOf("/api/v1/market", ["host: app.example"])).toMatch(/^HTTP\/1\.1 200 /);
    expect(await firstOf("/api/v1/market", ["host: evil.example"])).toMatch(/^HTTP\/1\.1 403 /);
    await world.close();
    world = new World();
    world.trustProxy = ["127.0.0.1"];
    await world.start();
    expect(await firstOf("/api/v1/market", ["host: market.example"])).toMatch(/^HTTP\/1\.1 200 /);
  });
});
