/** A registry behind a proxy that misbehaves on purpose: what it does to each question is said by a trick (tricks.ts). */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Random } from "@xenoservers/testkit";

/** What the registry behind it gives for a path. */
export type Upstream = (path: string) => Promise<{ status: number; type: string; bytes: Buffer }>;

export interface Asked {
  kind: "manifest" | "blob" | "token" | "elsewhere";
  path: string;
  /** How often it was asked for, this time included. */
  times: number;
  request: IncomingMessage;
  response: ServerResponse;
  /** What the registry gives: the whole of it, whatever piece was asked for. */
  bytes: Buffer;
  /** Where a piece that was asked for begins; 0 for the whole. */
  from: number;
  /** Answers as the registry would, from there on. */
  pass(): void;
  /** Answers so, and no more. */
  say(status: number, headers?: Record<string, string>, body?: string | Buffer): void;
  /** Answers as the registry would, breaks off after so many bytes, or says nothing more. */
  cut(bytes: number): void;
  stall(bytes: number): void;
  /** Gives so many bytes, and a minute passes. */
  drip(bytes: number): void;
}
export type Trick = (asked: Asked) => void;

export interface Proxy {
  host: string;
  /** Another name of the same place, as another machine would have. */
  elsewhere: string;
  /** All that was asked, in order. */
  log: { kind: Asked["kind"]; host: string; path: string; authorization: string | undefined; range: string | undefined; body: string }[];
  /** Said where nothing is said any more. */
  onStall: (bytes: number) => void;
  /** Said where a minute passes after a few bytes. */
  onDrip: () => void;
  close(): Promise<void>;
}

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });

function kindOf(path: string): Asked["kind"] {
  if (path.startsWith("/token")) return "token";
  return path.includes("/manifests/") ? "manifest" : path.includes("/blobs/") ? "blob" : "elsewhere";
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  return Buffer.concat(await request.toArray()).toString("utf8");
}

export async function startProxy(upstream: Upstream, trick: (proxy: Proxy) => Trick): Promise<Proxy> {
  const times = new Map<string, number>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "";
    const kind = kindOf(path);
    const { authorization, range, host = "" } = request.headers;
    proxy.log.push({ kind, host, path, authorization, range, body: await bodyOf(request) });
    const key = `${host} ${path.replace(/\?.*/s, "")}`;
    times.set(key, (times.get(key) ?? 0) + 1);
    const { status, type, bytes } = kind === "token" ? { status: 200, type: "", bytes: Buffer.alloc(0) } : await upstream(path);
    const from = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const rest = bytes.subarray(from);
    const headers: Record<string, string> = { "content-type": type, "content-length": String(rest.length) };
    if (range !== undefined) headers["content-range"] = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    const head = (): void => void response.writeHead(range === undefined ? status : 206, headers);
    const part = (count: number, then: () => void): void => {
      head();
      if (count >= rest.length) response.end(rest);
      else if (count === 0) then();
      else response.write(rest.subarray(0, count), then);
    };
    asks({
      ...{ kind, path, times: times.get(key) ?? 1, request, response, bytes, from },
      pass: () => part(rest.length, () => {}),
      say: (code, more = {}, body = "") => void response.writeHead(code, more).end(body),
      cut: (count) => part(count, () => response.socket?.end()),
      stall: (count) => part(count, () => proxy.onStall(count)),
      drip: (count) => part(count, () => proxy.onDrip()),
    });
  };
  const servers = [1, 2].map(() => createServer((request, response) => void answer(request, response)));
  const [port, other] = await Promise.all(servers.map(listening));
  const proxy: Proxy = {
    host: `127.0.0.1:${port}`,
    elsewhere: `127.0.0.1:${other}`,
    log: [],
    onStall() {},
    onDrip() {},
    async close() {
      for (const server of servers) server.closeAllConnections();
      await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))));
    },
  };
  const asks = trick(proxy);
  return proxy;
}

const digestOf = (bytes: Buffer): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
export const LAYER_BYTES = 300_000;

/** An image of two layers that nothing packs any smaller, by the digests of its parts. */
export function testImage(): { manifest: Buffer; blobs: Map<string, Buffer>; layers: string[] } {
  const random = new Random(11);
  const layers = [1, 2].map(() => Buffer.from(Array.from({ length: LAYER_BYTES }, () => random.between(0, 255))));
  const config = Buffer.from(JSON.stringify({ os: "linux", architecture: "amd64", config: { Cmd: ["/bin/true"] } }));
  const blobs = new Map([config, ...layers].map((bytes) => [digestOf(bytes), bytes]));
  const described = layers.map((bytes) => ({
    ...{ mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf(bytes), size: bytes.length },
  }));
  const about = { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(config), size: config.length };
  const type = "application/vnd.oci.image.manifest.v1+json";
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: type, config: about, layers: described }));
  return { manifest, blobs, layers: described.map(({ digest }) => digest) };
}

/** The registry of that image alone, in this process. */
export function upstreamOf({ manifest, blobs }: ReturnType<typeof testImage>): Upstream {
  return async (path) => {
    const found = path.includes("/manifests/") ? manifest : blobs.get(path.split("/").at(-1)?.replace(/\?.*/s, "") ?? "");
    const type = path.includes("/manifests/") ? "application/vnd.oci.image.manifest.v1+json" : "application/octet-stream";
    return found ? { status: 200, type, bytes: found } : { status: 404, type: "", bytes: Buffer.from("{}") };
  };
}
