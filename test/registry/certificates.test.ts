/** Registries that nobody in public vouches for, with the certificates that container engines keep for them. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { createServer as createTcpServer, type AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openImage } from "@xenoservers/sdk";
import { certificateFolders, certificatesFor } from "../../packages/sdk/src/oci/registry-certificates.ts";
import { selfSigned } from "../xapi/certificate.ts";
import { patientTimers } from "./fetched.ts";
import { testImage, upstreamOf } from "./proxy.ts";

const upstream = upstreamOf(testImage());
const ADDRESS = "0.0.0.0";
const shown = selfSigned("registry", ADDRESS);
const ANYWHERE = { address: ADDRESS, vouched: shown };
const mine = selfSigned("carl");

let folder: string;
let open: { close(done: () => void): unknown; closeAllConnections(): void }[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-certificates-"));
  vi.stubEnv("HOME", folder);
  vi.stubEnv("REGISTRY_AUTH_FILE", path.join(folder, "none.json"));
  await writeFile(path.join(folder, "none.json"), "{}");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  for (const server of open) {
    server.closeAllConnections();
    await new Promise<void>((closed) => server.close(closed));
  }
  open = [];
  await rm(folder, { recursive: true, force: true });
});

/** A registry behind TLS; where it wants a certificate, it lets in nobody else. */
async function registry(wants = false, { address, vouched } = ANYWHERE): Promise<{ host: string; seen: Set<string | undefined> }> {
  const seen = new Set<string | undefined>();
  const server = createServer(
    { key: vouched.key, cert: vouched.cert, ca: mine.cert, requestCert: true, rejectUnauthorized: wants },
    async (request, response) => {
      seen.add((request.socket as TLSSocket).getPeerCertificate().fingerprint256);
      const { status, type, bytes } = await upstream(request.url ?? "");
      response.writeHead(status, { "content-type": type }).end(bytes);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  open.push(server);
  const bound = server.address();
  return { host: `${address}:${typeof bound === "object" && bound ? bound.port : 0}`, seen };
}

/** What answers whoever greets it with an alert of TLS (RFC 8446, 6), in the middle of what is written. */
async function alerting(alert: number): Promise<string> {
  const server = createTcpServer((socket) =>
    socket.on("error", () => {}).once("data", () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, alert]))),
  );
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  open.push(Object.assign(server, { closeAllConnections() {} }));
  return `${ADDRESS}:${(server.address() as AddressInfo).port}`;
}
const fetched = (host: string): Promise<unknown> =>
  openImage(`${host}/box`, path.join(folder, "cache"), { onLayer() {}, onWait() {}, onNext() {} }, patientTimers().timers).catch(
    (error: Error) => error.message,
  );
async function keep(host: string, files: Readonly<Record<string, string>>, below = ".config/containers/certs.d"): Promise<void> {
  const at = path.join(folder, below, host);
  await mkdir(at, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(at, name), text);
}

it("are told of with the place for their certificate, and taken once it lies there, for that registry alone", async () => {
  const [one, other] = [await registry(), await registry()];
  const place = path.join(folder, ".config/containers/certs.d", one.host);
  expect(await fetched(one.host)).toMatch(
    /nobody whom this machine trusts vouches for .* put the certificate of who does into .* as ca\.crt$/,
  );
  expect(await fetched(one.host)).toContain(place);
  await keep(one.host, { "ca.crt": shown.cert });
  expect(await fetched(one.host)).toMatchObject({ name: `${one.host}/box` });
  await rm(path.join(folder, "cache"), { recursive: true });
  expect(await fetched(other.host)).toMatch(/nobody whom this machine trusts/);
});

it("see the certificate that is kept for them, and let in who shows it", async () => {
  const { host, seen } = await registry(true);
  await keep(host, { "ca.crt": shown.cert });
  expect(await fetched(host)).toMatch(/wants the certificate of whoever asks: put it and its key into .* as client\.cert and client\.key$/);
  await keep(host, { "carl.cert": mine.cert, "carl.key": mine.key });
  expect(await fetched(host)).toMatchObject({ name: `${host}/box` });
  expect([...seen]).toEqual([mine.fingerprint]);
});

it.each([
  ["first", "a", "b"],
  ["last", "b", "a"],
])("are shown the one that they take of several, where it comes %s by name", async (_, right, wrong) => {
  const { host, seen } = await registry(true);
  const other = selfSigned("other");
  await keep(host, { "ca.crt": shown.cert, [`${right}.cert`]: mine.cert, [`${right}.key`]: mine.key });
  await keep(host, { [`${wrong}.cert`]: other.cert, [`${wrong}.key`]: other.key });
  expect(await fetched(host)).toMatchObject({ name: `${host}/box` });
  expect([...seen]).toEqual([mine.fingerprint]);
});

it("of this machine may have one, too, and are without encryption where they have none", async () => {
  const here = { address: "127.0.0.1", vouched: selfSigned("here", "127.0.0.1") };
  const { host } = await registry(false, here);
  expect(await fetched(host)).toMatch(/nobody whom this machine trusts vouches for 127\.0\.0\.1/);
  await keep(host, { "ca.crt": here.vouched.cert });
  expect(await fetched(host)).toMatchObject({ name: `${host}/box` });
});

it.each([
  [48, /does not take the certificate that lies in .*certs\.d/],
  [45, /does not take the certificate that lies in .*certs\.d/],
  [70, /cannot be reached \(tlsv1 alert protocol version\); check/],
])("say by an alert what is wrong: %d", async (alert, said) => {
  expect(await fetched(await alerting(alert))).toMatch(said);
});

it("may have a link to nothing among what is kept for them, as distributions leave it", async () => {
  const { host } = await registry();
  await keep(host, { "ca.crt": shown.cert });
  await symlink("/nowhere/redhat-ca.crt", path.join(folder, ".config/containers/certs.d", host, "b.crt"));
  expect(await fetched(host)).toMatchObject({ name: `${host}/box` });
});

it("may be vouched for by any of several authorities in one file", async () => {
  const { host } = await registry();
  await keep(host, { "ca.crt": `${mine.cert}\r\n${shown.cert}` });
  expect(await fetched(host)).toMatchObject({ name: `${host}/box` });
});

it("have the first folder that there is, the user's own before the system's", async () => {
  const folders = certificateFolders(folder, path.join(folder, "etc"));
  expect(await certificatesFor("r.example", folders, [])).toBeNull();
  await keep("r.example", { "ca.crt": shown.cert }, "etc/docker/certs.d");
  expect((await certificatesFor("r.example", folders, []))?.ca.at(-1)).toBe(shown.cert);
  await keep("r.example", { "a.crt": mine.cert }, "etc/containers/certs.d");
  expect((await certificatesFor("r.example", folders, []))?.ca.at(-1)).toBe(mine.cert);
  await keep("r.example", { "notes.txt": "nothing" });
  expect(await certificatesFor("r.example", folders, [])).toBeNull();
  await keep("docker.io", { "ca.crt": shown.cert });
  expect((await certificatesFor("registry-1.docker.io", folders))?.ca.length).toBeGreaterThan(100);
});

it.each([
  [{ "carl.cert": mine.cert }, /carl\.cert has no carl\.key beside it; an authority's certificate is called ca\.crt/],
  [{ "carl.key": mine.key }, /carl\.key has no carl\.cert beside it/],
  [{ "carl.cert": mine.cert, "carl.key": shown.key }, /is no certificate and key as PEM/],
  [{ "ca.crt": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" }, /is no certificate and key as PEM/],
])("are told where what is kept for them is none: %#", async (files, said) => {
  await keep("r.example", files);
  expect(await fetched("r.example")).toMatch(said);
});
