/**
 * The HTTP face of the broker: every route comes from the API table; links are WebSockets at /api/v1/link. Who controls the inputs: anyone,
 * every byte. Bounds: those of door.ts by source address; the size of bodies, headers and messages, and the time in which each must come.
 */
import { letGo, API, openApi, refuse, type Refusal, type Route, type RouteName } from "@xenoservers/protocol";
import { CLOSINGS, systemTimers } from "@xenoservers/protocol/link";
import { LINK_WORDS_PATH, type LinkWords } from "@xenoservers/protocol/will";
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { Duplex, Readable } from "node:stream";
import { WebSocketServer } from "ws";
import { readBody } from "./body.ts";
import { boundConnections, boundPipelines } from "./connections.ts";
import { callers, type Callers } from "./caller.ts";
import type { Door } from "./door.ts";
import type { Faults } from "@xenoservers/protocol/faults";
import type { EventFeed } from "./event-feed.ts";
import { showFrontPage } from "./front-page.ts";
import type { LinkHub } from "./link-hub.ts";
import { boundLongBodies, lastAnswer } from "./long-bodies.ts";
import { REQUEST_ID_HEADER, requestIdOf } from "./request-id.ts";
import { EVERYWHERE, guardAnswers, keptPage, servePageFiles, type PageSource } from "./page-files.ts";
import { letPagesRead, Pages } from "./pages.ts";
import type { Reads } from "./reads.ts";
import { Routes, answerRefusal, bodyRefusal, restAfter, tooManyRequests } from "./routes.ts";
import type { Sessions } from "./sessions.ts";
import { BulkTurns } from "./bulk-turns.ts";
import { Sips } from "./sips.ts";
import { SocketPipe } from "./socket-pipe.ts";
import { createWrites, type DeskDoor } from "./writes.ts";

const BODY_BYTES_MAX = 256 * 1024;
const LINK_MESSAGE_BYTES_MAX = 256 * 1024;
const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_WITHIN_MS = 10_000;
const BODY_WITHIN_MS = 20_000;
/** A part of a result; what is smaller has less time. */
const REQUEST_WITHIN_MS = 300_000;
/** Longer than proxies keep theirs, so that none is closed as a request comes. */
const KEPT_ALIVE_MS = 72_000;
const LATENESS_SEEN_EVERY_MS = 1_000;
/** A link that is told why it ends has so long to hear it. */
const CLOSE_WITHIN_MS = 2_000;
/** Of one message: pieces of it, and pieces of it as they come. A stranger who sends it byte by byte makes each cost hundreds. */
const FRAGMENTS_MAX = 256;
const CHUNKS_MAX = 1_024;

interface HttpParts {
  desk: DeskDoor;
  reads: Reads;
  sessions: Sessions;
  hub: LinkHub;
  feed: EventFeed;
  logger: Logger;
  faults: Pick<Faults, "failed">;
  version: string;
  /** Why this broker serves nobody now; null while it does. */
  notReady: () => Promise<string | null>;
  /** Is told of each request. */
  count(route: string, code: string, seconds: number): void;
  /** Addresses or subnets of proxies in front of this broker, whose word on who calls is believed. */
  trustProxy: readonly string[];
  /** Origins of the web pages that may use this broker. */
  pages: readonly string[];
  /** The market's page, as this broker serves it; null: it serves none. */
  page: PageSource | null;
}

function listening(handler: RequestListener, door: Door, who: Callers): Server {
  // an offer of any other protocol (h2c of curl --http2, or of Java) may be left unanswered, and what is asked is answered as it is
  const shouldUpgradeCallback = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === "websocket";
  const times = { headersTimeout: HEADERS_WITHIN_MS, requestTimeout: REQUEST_WITHIN_MS, keepAliveTimeout: KEPT_ALIVE_MS };
  const server = createServer(
    { ...times, shouldUpgradeCallback, maxHeaderSize: HEADER_BYTES_MAX, connectionsCheckingInterval: LATENESS_SEEN_EVERY_MS },
    boundPipelines(handler, door, who),
  );
  boundConnections(server, door, who, systemTimers);
  return server;
}

const isRouteName = (name: string): name is RouteName => Object.hasOwn(API, name);

export async function createHttpServer(parts: HttpParts): Promise<FastifyInstance> {
  const { desk, sessions, hub, logger, reads } = parts;
  const who = callers(parts.trustProxy);
  const app = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    logger: false,
    requestIdHeader: false,
    genReqId: (request) => requestIdOf(who, request),
    forceCloseConnections: true,
    serverFactory: (handler) => listening(handler, hub.door, who),
    routerOptions: { maxParamLength: 200 },
    // of addresses that no route can have, which come before any handler
    frameworkErrors: (error, request, reply) => void answerRefusal(request, reply.headers(EVERYWHERE), bodyRefusal(error, BODY_BYTES_MAX)),
  });
  const { door } = hub;
  guardAnswers(app);
  // bytes are read by the handler, once it is known that their sender has some business here
  app.addContentTypeParser("application/octet-stream", (_request, payload, parsed) => parsed(null, payload));
  boundLongBodies(app, door, who, systemTimers, (url) => BODIES_OF_BYTES.has(url));
  chargeOthers(app, door, who);
  const pages = new Pages(parts.pages, desk.services.market.origin.split("/")[0] ?? "", parts.page !== null);
  letPagesRead(app, pages, ({ socket }) => who.isProxy(socket.remoteAddress));
  parseJsonBodies(app, door);
  app.addHook("onRequest", async (request, reply) => void reply.header(REQUEST_ID_HEADER, request.id));

  const routes = new Routes(
    { ...reads, ...createWrites(desk, sessions) },
    {
      ...{ sessions, live: hub.live, store: desk.services.store, feed: parts.feed, timers: systemTimers },
      ...{ logger, faults: parts.faults, count: parts.count, callers: who, door },
    },
  );
  for (const name of Object.keys(API).filter(isRouteName)) routes.register(app, name);

  app.setErrorHandler((error: Error & { code?: string; statusCode?: number }, request, reply) =>
    answerRefusal(request, reply, error instanceof BodyRefused ? error.refusal : bodyRefusal(error, BODY_BYTES_MAX)),
  );
  app.setNotFoundHandler((request, reply) =>
    answerRefusal(request, reply, refuse("not_found", { path: request.url.split("?")[0]?.slice(0, 200) ?? "" })),
  );
  // Fastify looks at the time of a request only where somebody may ask when it was answered: without this every duration is 0
  app.addHook("onResponse", async () => {});
  app.get("/api/openapi.json", () => openApi(parts.version));
  const { willAfterMs } = hub;
  if (willAfterMs !== null) app.get(LINK_WORDS_PATH, (): LinkWords => ({ will: { afterMs: willAfterMs } }));
  const page = parts.page && keptPage(parts.page, systemTimers);
  showFrontPage(app, {
    ...{ reads, crypto: desk.services.crypto, callers: who, timers: systemTimers, page },
    failed: (what, error) => parts.faults.failed(what, error),
  });
  if (page) servePageFiles(app, page);
  app.get("/healthz", () => ({ status: "alive" }));
  app.get("/readyz", async (_request, reply) => {
    const why = await parts.notReady();
    return why === null ? { status: "ready" } : reply.code(503).send({ status: "not ready", why });
  });
  acceptLinks(app, hub, who, pages);
  await app.ready();
  return app;
}

/** Routes whose bodies are a known party's, read by the handler and bounded there. */
const BODIES_OF_BYTES = new Set(Object.values(API).flatMap(({ rawBody, path }: Route) => (rawBody ? [path] : [])));
const API_PATHS = new Set(Object.values(API).map(({ path }) => path as string));

/** What is asked besides the API, and where there is nothing, costs what the API's routes cost by themselves. */
function chargeOthers(app: FastifyInstance, door: Door, who: Callers): void {
  app.addHook("onRequest", async (request, reply) => {
    if (API_PATHS.has(request.routeOptions.url ?? "") || door.admits(who.of(request.raw))) return;
    restAfter(request, reply, who, systemTimers);
    return answerRefusal(request, reply, tooManyRequests());
  });
}

class BodyRefused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.code);
    this.refusal = refusal;
  }
}

/** Documents and questions: small, and soon here. */
function parseJsonBodies(app: FastifyInstance, { memory }: Door): void {
  const parse = app.getDefaultJsonParser("error", "error");
  app.removeContentTypeParser("application/json");
  app.addContentTypeParser("application/json", (request: FastifyRequest, payload: Readable, parsed) => {
    void readBody(payload, { bytesMax: BODY_BYTES_MAX, share: memory.bodies, withinMs: BODY_WITHIN_MS }).then(({ read, free }) => {
      if (!read.ok) return parsed(new BodyRefused(read));
      const text = read.bytes.toString("utf8");
      letGo(read.bytes);
      parse(request, text, (error, body) => (free(), parsed(error, body)));
    });
  });
}

/** Refuses a WebSocket before it is one. */
function refuseUpgrade(socket: Duplex, requestId: string, refusal: Refusal): void {
  socket.on("error", () => socket.destroy());
  socket.end(lastAnswer(requestId, refusal));
}

function acceptLinks(app: FastifyInstance, hub: LinkHub, who: Callers, pages: Pages): void {
  const sockets = new WebSocketServer({
    ...{ noServer: true, maxPayload: LINK_MESSAGE_BYTES_MAX, perMessageDeflate: false, autoPong: false },
    ...{ maxFragments: FRAGMENTS_MAX, maxBufferedChunks: CHUNKS_MAX, closeTimeout: CLOSE_WITHIN_MS },
  });
  const ids = new WeakMap<IncomingMessage, string>();
  sockets.on("headers", (headers, request) => headers.push(`${REQUEST_ID_HEADER}: ${ids.get(request) ?? ""}`));
  const turns = new BulkTurns();
  const pipes = new Set<SocketPipe>();
  const looking = setInterval(() => pipes.forEach((pipe) => pipe.look()), LATENESS_SEEN_EVERY_MS);
  const beating = setInterval(() => pipes.forEach((pipe) => pipe.missBeat(hub.beat.missedMax)), hub.beat.everyMs);
  let closing = false;
  app.server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const address = who.of(request);
    const id = requestIdOf(who, request);
    if (closing) return refuseUpgrade(socket, id, refuse("unavailable", { why: CLOSINGS.closing.says }));
    if (request.url !== "/api/v1/link") return refuseUpgrade(socket, id, refuse("not_found", { path: "/api/v1/link is the link" }));
    if (!hub.door.admits(address)) return refuseUpgrade(socket, id, refuse("rate_limited", { retryAfterMs: 1_000 }));
    const isProxied = who.isProxy(request.socket.remoteAddress);
    const refusal = pages.refusalOf(request.headers) ?? (isProxied ? null : pages.hostRefusal(request));
    if (refusal) return refuseUpgrade(socket, id, refusal);
    ids.set(request, id);
    const sips = new Sips(socket, systemTimers, { head, turns });
    sockets.handleUpgrade(request, sips, Buffer.alloc(0), (webSocket) => {
      const pipe = new SocketPipe(webSocket, { raw: socket, sips }, hub.door.memory.links, systemTimers);
      pipes.add(pipe);
      pipe.onClose(() => pipes.delete(pipe));
      hub.accept(pipe, address, id);
    });
  });
  app.addHook("preClose", async () => {
    closing = true;
    clearInterval(looking);
    clearInterval(beating);
    hub.dropAll();
    for (const client of sockets.clients) client.terminate();
    sockets.close();
  });
}
