/** An image that is named by sha512, from a registry to its layers. */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { systemTimers } from "@xenoservers/protocol/link";
import { headerOf } from "@xenoservers/testkit";
import { afterAll, beforeAll, expect, it } from "vitest";
import { resolveImage } from "./image.ts";
import { parseReference } from "./reference.ts";
import { Registry } from "./registry.ts";

const of = (bytes: Uint8Array): string => `sha512:${createHash("sha512").update(bytes).digest("hex")}`;
const layer = Buffer.concat([headerOf("etc/greeting", "0", 6, "hello\n"), Buffer.alloc(1024)]);
const config = Buffer.from(
  JSON.stringify({ os: "linux", architecture: "amd64", config: { Cmd: ["/bin/sh"] }, rootfs: { diff_ids: [of(layer)] } }),
);
const described = (bytes: Uint8Array, mediaType = "") => ({ mediaType, digest: of(bytes), size: bytes.length });
const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, config: described(config), layers: [described(layer)] }));
const platform = { os: "linux", architecture: "amd64" };
const index = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [{ ...described(manifest), platform }] }));

const held = new Map([layer, config, manifest, index].map((bytes) => [of(bytes), bytes]));
let cache: string;
let server: Server;
let host: string;
beforeAll(async () => {
  cache = await mkdtemp(path.join(tmpdir(), "xeno-by-sha512-"));
  server = createServer((request, response) => {
    const bytes = held.get(request.url?.split("/").at(-1) ?? "");
    response.writeHead(bytes ? 200 : 404).end(bytes);
  });
  await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  server.closeAllConnections();
  await new Promise((done) => void server.close(done));
  await rm(cache, { recursive: true, force: true });
});

const named = (digest: string): Registry => {
  const reference = parseReference(`${host}/box@${digest}`);
  if (!reference) throw new Error("no name of an image");
  return new Registry({ reference, isInsecure: true, isNamed: false }, systemTimers, () => {});
};

it("comes with its index, manifest, configuration and layers, all of which are met", async () => {
  const image = await resolveImage(named(of(index)), cache);
  expect(image).toMatchObject({ command: ["/bin/sh"], digest: `sha256:${createHash("sha256").update(manifest).digest("hex")}` });
  expect(await image.unpackedBytes()).toBe(layer.length);
  expect(image.layers.map(({ blob }) => blob.digest)).toEqual([createHash("sha256").update(layer).digest("hex")]);
});

it("is refused where the registry gives another", async () => {
  const other = of(Buffer.from("other"));
  held.set(other, manifest);
  await expect(resolveImage(named(other), cache)).rejects.toThrow("has another digest: it is damaged or was changed");
});
