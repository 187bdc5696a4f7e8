/** The HTTP face of the broker: every route comes from the API table; links are WebSockets at /api/v1/link. */
import { API, openApi, refusalBody, refuse, ERROR_CODES, type Refusal, type Route, type RouteName } from "@xenoservers/protocol";
import { systemTimers, type Pipe } from "@xenoservers/protocol/link";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { Counter, Gauge, Registry, collectDefaultMetrics } from "prom-client";
import { WebSocketServer, type WebSocket } from "ws";
import type { Desk } from "../desk/desk.ts";
import type { LinkHub } from "./link-hub.ts";
import type { Reads } from "./reads.ts";
import type { Session, Sessions } from "./sessions.ts";
import { acceptCosignature } from "../log/cosigned.ts";
import { streamEvents } from "./event-stream.ts";
import { TokenBucket } from "./token-bucket.ts";

const BODY_BYTES_MAX = 256 * 1024;
const LINK_MESSAGE_BYTES_MAX = 256 * 1024;
const CALLERS_MAX = 50_000;

export interface HttpParts {
  desk: Desk;
  reads: Reads;
  sessions: Sessions;
  hub: LinkHub;
  logger: Logger;
  version: string;
  ready: () => Promise<boolean>;
  /** Requests per second and source address, with as many at once. */
  requestsPerSecond: number;
}

export async function createHttpServer(parts: HttpParts): Promise<FastifyInstance> {
  const { desk, sessions, hub, logger } = parts;
  const app = Fastify({ bodyLimit: BODY_BYTES_MAX, logger: false, forceCloseConnections: true, routerOptions: { maxParamLength: 200 } });
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, prefix: "xeno_broker_" });
  const requests = new Counter({
    name: "xeno_broker_requests_total",
    help: "Requests by route and outcome",
    labelNames: ["route", "code"],
    registers: [registry],
  });
  new Gauge({
    name: "xeno_broker_links",
    help: "Connected links by kind",
    labelNames: ["kind"],
    registers: [registry],
    collect() {
      for (const [kind, count] of Object.entries(hub.counts)) this.set({ kind }, count);
    },
  });
  const buckets = new Map<string, TokenBucket>();

  function limited(address: string): boolean {
    let bucket = buckets.get(address);
    if (!bucket) {
      if (buckets.size >= CALLERS_MAX) buckets.clear();
      buckets.set(address, (bucket = new TokenBucket(parts.requestsPerSecond, parts.requestsPerSecond * 2, systemTimers)));
    }
    return !bucket.take();
  }

  function answerRefusal(name: string, reply: FastifyReply, refusal: Refusal): FastifyReply {
    requests.inc({ route: name, code: refusal.code });
    return reply.code(ERROR_CODES[refusal.code].status).send(refusalBody(refusal));
  }

  async function sessionOf(route: Route, request: FastifyRequest): Promise<Session | null | Refusal> {
    const header = request.headers.authorization;
    const token = header?.startsWith("Bearer ") ? header.slice("Bearer ".length) : undefined;
    if (route.access === "public" && token === undefined) return null;
    const session = await sessions.check(token);
    if (!session.ok) return session;
    if (route.access === "operator" && !session.operator) return refuse("operator_only");
    if (route.access === "party" && session.operator) return refuse("key_not_allowed", { why: "the operator's key is no party" });
    return session;
  }

  for (const [name, route] of Object.entries(API) as [RouteName, Route][]) {
    app.route({
      method: route.method,
      url: route.path,
      async handler(request, reply) {
        if (limited(request.ip)) return answerRefusal(name, reply, refuse("rate_limited", { retryAfterMs: 1_000 }));
        const parsed: Record<string, unknown> = {};
        for (const part of ["params", "query", "body"] as const) {
          const schema = route[part];
          if (!schema) continue;
          const result = schema.safeParse(request[part] ?? {});
          if (!result.success)
            return answerRefusal(
              name,
              reply,
              refuse("bad_request", { path: [part, ...(result.error.issues[0]?.path ?? [])].join("."), why: result.error.issues[0]?.message ?? "" }),
            );
          parsed[part] = result.data;
        }
        try {
          const session = await sessionOf(route, request);
          if (session && "code" in session) return answerRefusal(name, reply, session);
          if (name === "events" && request.headers.accept?.includes("text/event-stream")) {
            return await streamEvents(
              reply,
              desk.services.store,
              session!.party,
              request.headers["last-event-id"]?.toString() ?? (parsed["query"] as { after?: string }).after ?? null,
            );
          }
          const answer = await handle(name, session, parsed, parts);
          if (isRefusal(answer)) return answerRefusal(name, reply, answer);
          requests.inc({ route: name, code: "ok" });
          if (route.raw === "text") return await reply.type("text/plain; charset=utf-8").send(answer);
          if (route.raw === "bytes") return await reply.type("application/octet-stream").send(Buffer.from(answer as Uint8Array));
          return await reply.send(answer);
        } catch (error) {
          logger.error({ error: describeError(error), route: name }, "a request failed");
          return answerRefusal(name, reply, refuse(isDatabaseError(error) ? "unavailable" : "internal"));
        }
      },
    });
  }

  app.setErrorHandler((error: { code?: string; statusCode?: number; message: string }, _request, reply) => {
    const refusal =
      error.code === "FST_ERR_CTP_BODY_TOO_LARGE"
        ? refuse("body_too_large", { bytesMax: BODY_BYTES_MAX })
        : (error.statusCode ?? 500) < 500
          ? refuse("bad_request", { path: "body", why: error.message.slice(0, 200) })
          : refuse("internal");
    return answerRefusal("none", reply, refusal);
  });
  app.setNotFoundHandler((request, reply) => answerRefusal("none", reply, refuse("not_found", { path: request.url.split("?")[0]!.slice(0, 200) })));
  app.get("/api/openapi.json", () => openApi(parts.version));
  app.get("/healthz", () => ({ status: "alive" }));
  app.get("/readyz", async (_request, reply) => ((await parts.ready()) ? { status: "ready" } : reply.code(503).send({ status: "not ready" })));
  app.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));

  const sockets = new WebSocketServer({ noServer: true, maxPayload: LINK_MESSAGE_BYTES_MAX, perMessageDeflate: false });
  app.server.on("upgrade", (request, socket, head) => {
    if (closing || request.url !== "/api/v1/link" || limited(request.socket.remoteAddress ?? "")) return socket.destroy();
    sockets.handleUpgrade(request, socket, head, (webSocket) => hub.accept(pipeOf(webSocket)));
  });
  let closing = false;
  app.addHook("preClose", async () => {
    closing = true;
    hub.close();
    for (const client of sockets.clients) client.terminate();
    sockets.close();
  });
  await app.ready();
  return app;
}

export function pipeOf(socket: WebSocket): Pipe {
  socket.on("error", () => socket.terminate());
  return {
    send: (message) => socket.send(message),
    close: () => socket.close(),
    onMessage: (handler) =>
      void socket.on("message", (data: Buffer, binary: boolean) =>
        handler(binary ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data.toString("utf8")),
      ),
    onClose: (handler) => void socket.on("close", handler),
  };
}

async function handle(name: RouteName, session: Session | null, parsed: Record<string, unknown>, { desk, reads, sessions }: HttpParts): Promise<unknown> {
  switch (name) {
    case "submit": {
      const answer = await desk.submit((parsed["body"] as { envelope: unknown }).envelope);
      return answer.ok ? answer.answer : answer;
    }
    case "submitMany": {
      const answers = await Promise.all((parsed["body"] as { envelopes: unknown[] }).envelopes.map((envelope) => desk.submit(envelope)));
      return { answers: answers.map((answer) => (answer.ok ? answer.answer : refusalBody(answer))) };
    }
    case "challenge":
      return { challenge: sessions.challenge() };
    case "token": {
      const login = await sessions.login((parsed["body"] as { login: unknown }).login);
      return login.ok ? { ...sessions.token(login), party: login.party } : login;
    }
    case "cosign":
      return acceptCosignature(desk.services, (parsed["body"] as { note: string }).note);
    default:
      return (reads[name] as (request: unknown) => Promise<unknown>)({ session, params: parsed["params"], query: parsed["query"] });
  }
}

const isRefusal = (value: unknown): value is Refusal => typeof value === "object" && value !== null && (value as { ok?: unknown }).ok === false;
/** Postgres' own codes are five characters; Node's connection errors start with E. */
const isDatabaseError = (error: unknown): boolean =>
  /^([0-9A-Z]{5}|E[A-Z]+)$/.test(String((error as { code?: unknown }).code)) ||
  /Connection terminated|timeout exceeded|Cannot use a pool/.test(String((error as Error).message));
const describeError = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
