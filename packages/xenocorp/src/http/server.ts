/**
 * The HTTP face of the broker: every route comes from the API table; links are WebSockets at /api/v1/link. Who controls the inputs: anyone,
 * every byte. Bounds: requests by source address, bodies, callers remembered, transfers of sealed results at once, the time a request may
 * take to arrive.
 */
import { API, openApi, type RouteName } from "@xenoservers/protocol";
import { systemTimers } from "@xenoservers/protocol/link";
import Fastify, { type FastifyInstance } from "fastify";
import type { Logger } from "pino";
import { WebSocketServer, type WebSocket } from "ws";
import type { LinkHub } from "./link-hub.ts";
import type { LinkPipe } from "./link.ts";
import type { Reads } from "./reads.ts";
import { Routes, answerRefusal, bodyRefusal } from "./routes.ts";
import type { Sessions } from "./sessions.ts";
import { TokenBucket } from "./token-bucket.ts";
import { refuse } from "@xenoservers/protocol";
import { createWrites, type DeskDoor } from "./writes.ts";

const BODY_BYTES_MAX = 256 * 1024;
const LINK_MESSAGE_BYTES_MAX = 256 * 1024;
const CALLERS_MAX = 50_000;
const REQUEST_WITHIN_MS = 300_000;

interface HttpParts {
  desk: DeskDoor;
  reads: Reads;
  sessions: Sessions;
  hub: LinkHub;
  logger: Logger;
  version: string;
  /** Why this broker serves nobody now; null while it does. */
  notReady: () => Promise<string | null>;
  /** Is told of each request. */
  count(route: string, code: string, seconds: number): void;
  /** Requests per second and source address, with as many at once. */
  requestsPerSecond: number;
}

/** Whether a source address asks too often. */
function limiter(perSecond: number): (address: string) => boolean {
  const buckets = new Map<string, TokenBucket>();
  return (address) => {
    let bucket = buckets.get(address);
    if (!bucket) {
      if (buckets.size >= CALLERS_MAX) buckets.clear();
      buckets.set(address, (bucket = new TokenBucket(perSecond, perSecond * 2, systemTimers)));
    }
    return !bucket.take();
  };
}

const isRouteName = (name: string): name is RouteName => Object.hasOwn(API, name);

export async function createHttpServer(parts: HttpParts): Promise<FastifyInstance> {
  const { desk, sessions, hub, logger, reads } = parts;
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    logger: false,
    forceCloseConnections: true,
    requestTimeout: REQUEST_WITHIN_MS,
    routerOptions: { maxParamLength: 200 },
  });
  const limited = limiter(parts.requestsPerSecond);
  // bytes are read by the handler, once it is known that their sender has some business here
  app.addContentTypeParser("application/octet-stream", (_request, payload, parsed) => parsed(null, payload));

  const routes = new Routes(
    { ...reads, ...createWrites(desk, sessions) },
    { sessions, live: hub.live, store: desk.services.store, logger, count: parts.count, limited },
  );
  for (const name of Object.keys(API).filter(isRouteName)) routes.register(app, name);

  app.setErrorHandler((error: { code?: string; statusCode?: number; message: string }, request, reply) => {
    return answerRefusal(request, reply, bodyRefusal(error, BODY_BYTES_MAX));
  });
  app.setNotFoundHandler((request, reply) =>
    answerRefusal(request, reply, refuse("not_found", { path: request.url.split("?")[0]?.slice(0, 200) ?? "" })),
  );
  app.get("/api/openapi.json", () => openApi(parts.version));
  app.get("/healthz", () => ({ status: "alive" }));
  app.get("/readyz", async (_request, reply) => {
    const why = await parts.notReady();
    return why === null ? { status: "ready" } : reply.code(503).send({ status: "not ready", why });
  });
  acceptLinks(app, hub, limited);
  await app.ready();
  return app;
}

function acceptLinks(app: FastifyInstance, hub: LinkHub, limited: (address: string) => boolean): void {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: LINK_MESSAGE_BYTES_MAX, perMessageDeflate: false });
  let closing = false;
  app.server.on("upgrade", (request, socket, head) => {
    if (closing || request.url !== "/api/v1/link" || limited(request.socket.remoteAddress ?? "")) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (webSocket) => hub.accept(pipeOf(webSocket)));
  });
  app.addHook("preClose", async () => {
    closing = true;
    hub.close();
    for (const client of sockets.clients) client.terminate();
    sockets.close();
  });
}

export function pipeOf(socket: WebSocket): LinkPipe {
  socket.on("error", () => socket.terminate());
  return {
    send: (message) => socket.send(message),
    close: () => socket.close(),
    unreadBytes: () => socket.bufferedAmount,
    onMessage: (handler) =>
      void socket.on("message", (data: Buffer, binary: boolean) =>
        handler(binary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString("utf8")),
      ),
    onClose: (handler) => void socket.on("close", handler),
  };
}
