/** Registries that nobody in public vouches for, with the certificates that container engines keep for them. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:https";
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
const mine = selfSigned("carl");

let folder: string;
let open: Server[] = [];
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
    await new Promise((closed) => server.close(closed));
  }
  open = [];
  await rm(folder, { recursive: true, force: true });
});

/** A registry behind TLS; where it wants a certificate, it lets in nobody else. */
async function registry(wants = false): Promise<{ host: string; seen: Set<string | undefined> }> {
  const seen = new Set<string | undefined>();
  const server = createServer(
    { key: shown.key, cert: shown.cert, ca: mine.cert, requestCert: true, rejectUnauthorized: wants },
    async (request, response) => {
      seen.add((request.socket as TLSSocket).getPeerCertificate().fingerprint256);
      const { status, type, bytes } = await upstream(request.url ?? "");
      response.writeHead(status, { "content-type": type }).end(bytes);
    },
  );
  await new Promise<void>((resolve) => server.listen(0, ADDRESS, resolve));
  open.push(server);
  const address = server.address();
  return { host: `${ADDRESS}:${typeof address === "object" && address ? address.port : 0}`, seen };
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
