/** Registries behind a proxy that the environment names: who is asked, and who sees what. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { connect, type AddressInfo, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openImage } from "@xenoservers/sdk";
import { selfSigned } from "../xapi/certificate.ts";
import { patientTimers } from "./fetched.ts";
import { testImage, upstreamOf } from "./proxy.ts";

const upstream = upstreamOf(testImage());
/** Only the proxy knows where it is. */
const NAME = "registry.test";
const PASSWORD = "hunter2-of-the-registry";
const certificate = selfSigned(NAME);

let folder: string;
let open: (Server | ReturnType<typeof createSecureServer>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-env-proxy-"));
  vi.stubEnv("HOME", folder);
  vi.stubEnv("REGISTRY_AUTH_FILE", path.join(folder, "logins.json"));
  vi.stubEnv("CONTAINERS_REGISTRIES_CONF", path.join(folder, "registries.conf"));
  const auth = Buffer.from(`carl:${PASSWORD}`).toString("base64");
  await writeFile(path.join(folder, "logins.json"), JSON.stringify({ auths: { [NAME]: { auth }, [`${NAME}:5000`]: { auth } } }));
  await writeFile(path.join(folder, "registries.conf"), "");
  const certs = path.join(folder, ".config/containers/certs.d", NAME);
  await mkdir(certs, { recursive: true });
  await writeFile(path.join(certs, "ca.crt"), certificate.cert);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const server of open) {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
  open = [];
  await rm(folder, { recursive: true, force: true });
});

async function listening(server: (typeof open)[number]): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(server);
  return (server.address() as AddressInfo).port;
}

interface Told {
  method: string | undefined;
  to: string | undefined;
  proxyLogin: string | undefined;
  login: string | undefined;
}
const toldOf = ({ method, url, headers }: IncomingMessage): Told => ({
  ...{ method, to: url, proxyLogin: headers["proxy-authorization"], login: headers.authorization },
});

/** A registry that wants its password. */
async function registry(isSecure: boolean): Promise<{ port: number; told: Told[] }> {
  const told: Told[] = [];
  const answer = async (asked: IncomingMessage, response: ServerResponse): Promise<void> => {
    told.push(toldOf(asked));
    if (asked.headers.authorization === undefined) return void response.writeHead(401, { "www-authenticate": 'Basic realm="r"' }).end();
    const { status, type, bytes } = await upstream(asked.url ?? "");
    response.writeHead(status, { "content-type": type }).end(bytes);
  };
  const listener = (...words: Parameters<typeof answer>): void => void answer(...words);
  const server = isSecure ? createSecureServer({ key: certificate.key, cert: certificate.cert }, listener) : createServer(listener);
  return { port: await listening(server), told };
}

/** Leads all there; `refuses`: with that status. */
async function proxy(to: number, refuses: number | null = null, isSecure = false): Promise<{ host: string; told: Told[] }> {
  const told: Told[] = [];
  const asks = (asked: IncomingMessage, response: ServerResponse): void => {
    told.push(toldOf(asked));
    if (refuses !== null) return void response.writeHead(refuses).end();
    const { host, pathname, search } = new URL(asked.url ?? "");
    const { authorization } = asked.headers;
    const headers = { host, ...(authorization === undefined ? {} : { authorization }) };
    request({ port: to, host: "127.0.0.1", path: pathname + search, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 0, answer.headers);
      answer.pipe(response);
    }).end();
  };
  const { key, cert } = selfSigned("proxy", "127.0.0.1");
  if (isSecure) await writeFile(path.join(folder, ".config/containers/certs.d", NAME, "proxy.crt"), cert);
  const server = isSecure ? createSecureServer({ key, cert }, asks) : createServer(asks);
  server.on("connect", (asked, socket: Socket) => {
    told.push(toldOf(asked));
    if (refuses !== null) return void socket.end(`HTTP/1.1 ${refuses} No\r\nContent-Length: 0\r\n\r\n`);
    const there = connect(to, "127.0.0.1", () => {
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      there.pipe(socket).pipe(there);
    });
    for (const end of [there, socket]) end.on("error", () => {}).on("close", () => [there, socket].forEach((each) => each.destroy()));
  });
  return { host: `127.0.0.1:${await listening(server)}`, told };
}
const fetched = (name: string): Promise<unknown> =>
  openImage(`${name}/box`, path.join(folder, "cache"), { onLayer() {}, onWait() {}, onNext() {} }, patientTimers().timers).catch(
    (error: Error) => error.message,
  );

it.each(["HTTPS_PROXY", "https_proxy"])(
  "lead to a registry with encryption by a tunnel, which sees its name alone: %s",
  async (variable) => {
    const { port, told: there } = await registry(true);
    const { host, told } = await proxy(port);
    vi.stubEnv(variable, `http://olga:p%40ss@${host}`);
    expect(await fetched(NAME)).toMatchObject({ name: `${NAME}/box` });
    const proxyLogin = `Basic ${Buffer.from("olga:p@ss").toString("base64")}`;
    expect(new Set(told.map((each) => JSON.stringify(each)))).toEqual(
      new Set([JSON.stringify({ method: "CONNECT", to: `${NAME}:443`, proxyLogin })]),
    );
    expect(there.some(({ login }) => login !== undefined)).toBe(true);
    expect(there.filter((each) => each.proxyLogin !== undefined)).toEqual([]);
  },
);

it("may want encryption themselves", async () => {
  const { port } = await registry(true);
  const { host, told } = await proxy(port, null, true);
  vi.stubEnv("HTTPS_PROXY", `https://${host}`);
  expect(await fetched(NAME)).toMatchObject({ name: `${NAME}/box` });
  expect(told.length).toBeGreaterThan(2);
});

it("are asked themselves for a registry that settings call insecure, where they tunnel to none", async () => {
  await writeFile(path.join(folder, "registries.conf"), `[[registry]]\nlocation = "${NAME}:5000"\ninsecure = true\n`);
  const { port, told: there } = await registry(false);
  const [plain, secure] = [await proxy(port), await proxy(port, 403)];
  vi.stubEnv("HTTP_PROXY", plain.host);
  vi.stubEnv("HTTPS_PROXY", secure.host);
  expect(await fetched(`${NAME}:5000`)).toMatchObject({ name: `${NAME}:5000/box` });
  expect(secure.told.map(({ to }) => to)).toEqual([`${NAME}:5000`]);
  expect(plain.told.every(({ to }) => to?.startsWith(`http://${NAME}:5000/v2/box/`))).toBe(true);
  expect(there.every(({ proxyLogin }) => proxyLogin === undefined)).toBe(true);
});

it("are not asked for what NO_PROXY names, nor for this machine", async () => {
  const { port } = await registry(true);
  const { host, told } = await proxy(port);
  vi.stubEnv("HTTPS_PROXY", host);
  vi.stubEnv("HTTP_PROXY", host);
  vi.stubEnv("NO_PROXY", ".test");
  expect(await fetched(NAME)).toMatch(/registry\.test cannot be reached/);
  expect(await fetched("127.0.0.1:1")).toMatch(/127\.0\.0\.1:1 cannot be reached/);
  expect(told).toEqual([]);
});

it.each([
  [407, "", /the proxy 127\.0\.0\.1:\d+ asks for a login: write it into HTTPS_PROXY, as http:\/\/USER:PASSWORD@HOST:PORT/],
  [407, "me:secret@", /does not take the login that HTTPS_PROXY holds/],
  [403, "me:secret@", /the proxy 127\.0\.0\.1:\d+ \(HTTPS_PROXY\) leads nobody to registry\.test \(403\): NO_PROXY names/],
  [503, "", /leads nobody to registry\.test \(503\), 7 times in a row: try later/],
])("say what is wrong, without a secret: %s", async (status, login, words) => {
  const { host } = await proxy(0, status);
  vi.stubEnv("HTTPS_PROXY", `http://${login}${host}`);
  const said = await fetched(NAME);
  expect(said).toMatch(words);
  expect(said).not.toContain("secret");
});

it("that do not listen are told from registries that do not", async () => {
  vi.stubEnv("HTTPS_PROXY", "http://me:secret@127.0.0.1:1");
  expect(await fetched(NAME)).toBe(
    "the proxy 127.0.0.1:1, which HTTPS_PROXY names, cannot be reached (connect ECONNREFUSED 127.0.0.1:1); check its name, and your connection",
  );
});
