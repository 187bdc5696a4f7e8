/** The market's page as this broker serves it: its files under their own prefix, run with nothing from elsewhere, and its links taken. */
import { gunzipSync } from "node:zlib";
import { connect, type AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { API, type Route } from "@xenoservers/protocol";
import { PAGE_PREFIX, keptPage, type PageFiles } from "./page-files.ts";
import { World } from "./world.fixture.ts";

const SCRIPT = "export {};\n".repeat(50);
const FILES: PageFiles = {
  script: "app-1a2b3c4d.js",
  style: "page-1a2b3c4d.css",
  files: new Map(
    Object.entries({ "app-1a2b3c4d.js": SCRIPT, "page-1a2b3c4d.css": "p {}", "odd.html": "<p>", "licences.txt": "MIT" }).map(
      ([name, text]) => [name, Buffer.from(text)],
    ),
  ),
};

let world: World;
beforeEach(async () => {
  world = new World();
  world.page = async () => FILES;
  await world.start();
});
afterEach(() => world.close());

const of = (url: string, headers: Record<string, string> = {}) =>
  world.app.inject({ url, headers: { host: "127.0.0.1:7400", ...headers } });

describe("its files", () => {
  it("come as they are, or packed, and are kept by browsers", async () => {
    const plain = await of(`${PAGE_PREFIX}app-1a2b3c4d.js`);
    expect([plain.statusCode, plain.body]).toEqual([200, SCRIPT]);
    expect(plain.headers).toMatchObject({
      "content-type": "text/javascript; charset=utf-8",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cross-origin-resource-policy": "same-origin",
      "cache-control": "public, max-age=31536000, immutable",
    });
    const packed = await of(`${PAGE_PREFIX}app-1a2b3c4d.js`, { "accept-encoding": "gzip, br" });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(gunzipSync(packed.rawPayload).toString()).toBe(SCRIPT);
  });

  it("come as they are to whoever takes nothing packed", async () => {
    const came = async (accepted: string) =>
      (await of(`${PAGE_PREFIX}app-1a2b3c4d.js`, { "accept-encoding": accepted })).headers["content-encoding"] ?? "plain";
    for (const plain of ["", "identity", "gzip;q=0", "br, gzip; q=0.000"]) expect(await came(plain), plain).toBe("plain");
    for (const packed of ["gzip;q=0.5", "br;q=1, GZIP", "gzip;q=1, *;q=0"]) expect(await came(packed), packed).toBe("gzip");
  });

  it("are only read: nothing else is done to them, and no part of them is promised", async () => {
    const url = `${PAGE_PREFIX}app-1a2b3c4d.js`;
    const headers = { host: "127.0.0.1:7400" };
    const head = await world.app.inject({ method: "HEAD", url, headers });
    expect([head.statusCode, head.body, head.headers["content-length"]]).toEqual([200, "", String(SCRIPT.length)]);
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] as const)
      expect((await world.app.inject({ method, url, headers })).statusCode, method).toBe(404);
    expect(await of(url, { range: "bytes=0-1" })).toMatchObject({ statusCode: 200, body: SCRIPT });
  });

  it("are asked for again where their name has no digest in it", async () => {
    expect((await of(`${PAGE_PREFIX}licences.txt`)).headers).toMatchObject({
      "cache-control": "no-cache",
      "content-type": "text/plain; charset=utf-8",
    });
  });

  it.each(["nothing.js", "..%2fapp-1a2b3c4d.js", "odd.html", "constructor", ""])("are none of the name '%s'", async (name) => {
    expect((await of(PAGE_PREFIX + name)).statusCode).toBe(404);
  });

  it("have a prefix that no route of the API begins with", () => {
    const paths = Object.values(API).map(({ path }: Route) => path);
    expect(paths.filter((path) => path === "/" || path.startsWith(PAGE_PREFIX) || !/^\/(?:api|log)\//.test(path))).toEqual([]);
  });
});

describe("whatever else is at the page's origin", () => {
  it.each([
    ["/api/v1/market", 200],
    ["/api/v1/leases", 401],
    ["/api/openapi.json", 200],
    ["/log/checkpoint", 200],
    ["/healthz", 200],
    ["/nothing", 404],
    [`${PAGE_PREFIX}nothing.js`, 404],
    ["/%", 400],
  ])("of %s no browser makes a script or a document, and nothing stays in its cache", async (url, code) => {
    const answer = await of(url);
    expect(answer.statusCode).toBe(code);
    expect(answer.headers).toMatchObject({
      "x-content-type-options": "nosniff",
      "cache-control": "no-store",
      "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    });
  });
});

describe("the front page", () => {
  it("begins it under a policy of its own files and its own broker alone, and keeps what needs no script", async () => {
    const answer = await of("/");
    const policy = String(answer.headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self' 'sha256-");
    expect(policy).toContain("connect-src 'self' ws://127.0.0.1:7400;");
    expect(policy).toContain("frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'");
    expect(policy).not.toMatch(/unsafe|\*|data:|blob:/);
    expect(answer.body).toContain('<script type="module" src="/page/app-1a2b3c4d.js"></script>');
    expect(answer.body).toContain('<link rel="stylesheet" href="/page/page-1a2b3c4d.css">');
    expect(answer.body.match(/<script/g)).toHaveLength(1);
    expect(answer.body).toMatch(/<noscript>[^]*Rent one[^]*<\/noscript>/);
  });

  it("names no address in its policy that no browser could have", async () => {
    for (const host of ["a; script-src *", "x' 'unsafe-inline", "<b>"])
      expect(String((await of("/", { host })).headers["content-security-policy"]), host).toContain("connect-src 'self';");
  });

  it("is what it is without a page where the page cannot be read, and its operator is told", async () => {
    await world.close();
    world = new World();
    world.page = () => Promise.reject(new Error("not built"));
    await world.start();
    const answer = await of("/");
    expect(answer.statusCode).toBe(200);
    expect(answer.body).not.toContain("<script");
    expect(answer.headers["content-security-policy"]).not.toContain("script-src");
    expect(world.faults).toMatchObject([{ what: "the market's page cannot be read" }]);
  });
});

it("is asked for once; where that failed again after a while, however many ask", async () => {
  let [asked, now] = [0, 0];
  const source = async (): Promise<PageFiles> => {
    asked++;
    if (asked === 1) throw new Error("busy");
    return FILES;
  };
  const kept = keptPage(source, { now: () => now });
  for (const at of [0, 1_000, 29_999]) {
    now = at;
    await expect(kept()).rejects.toThrow("busy");
  }
  expect(asked).toBe(1);
  now = 30_000;
  await Promise.all([kept(), kept(), kept()]);
  now = 10_000_000;
  expect(await kept()).toBe(FILES);
  expect(asked).toBe(2);
});

describe("its links", () => {
  /** The first line of the answer. */
  async function link(host: string, origin: string): Promise<string> {
    if (!world.app.server.listening) await world.app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = world.app.server.address() as AddressInfo;
    const upgrade = [
      "connection: Upgrade",
      "upgrade: websocket",
      "sec-websocket-version: 13",
      "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    return new Promise((resolve, reject) => {
      const socket = connect(port, "127.0.0.1");
      socket.on("error", reject);
      socket.on("data", (bytes) => {
        resolve(bytes.toString("latin1").split("\r\n")[0]!);
        socket.destroy();
      });
      socket.write(["GET /api/v1/link HTTP/1.1", `host: ${host}`, `origin: ${origin}`, ...upgrade, "\r\n"].join("\r\n"));
    });
  }

  it("are taken from the address that it was found at, and from no other", async () => {
    expect(await link("127.0.0.1:7400", "http://127.0.0.1:7400")).toMatch(/ 101 /);
    expect(await link("LOCALHOST:7400", "http://localhost:7400")).toMatch(/ 101 /);
    for (const other of ["http://127.0.0.1:7401", "https://evil.example", "null", "http://127.0.0.1"])
      expect(await link("127.0.0.1:7400", other), other).toMatch(/ 403 /);
    // a name from elsewhere that was made to lead here
    expect(await link("evil.example", "http://evil.example")).toMatch(/ 403 /);
  });

  it("are not taken where this broker serves no page", async () => {
    await world.close();
    world = new World();
    await world.start();
    expect(await link("127.0.0.1:7400", "http://127.0.0.1:7400")).toMatch(/ 403 /);
  });
});
