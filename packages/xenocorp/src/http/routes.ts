/**
 * From an HTTP request to a route's handler and back: who asks, whether its key may, what it says, and whether the reply is what the API
 * table promises. Who controls the inputs: anyone, every byte. Bounds: those of door.ts, and the time in which a body must come.
 */
import { API, ERROR_CODES, refuse, type Refusal, type Route, type RouteName } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { SigningStopped } from "../log/log-view.ts";
import { noRoom, readBody } from "./body.ts";
import { ArchiveAway } from "../store/archived.ts";
import { DISK_IS_FULL, isDiskFull } from "../store/lost.ts";
import type { Callers } from "./caller.ts";
import type { Faults } from "@xenoservers/protocol/faults";
import type { Door } from "./door.ts";
import { streamEvents, type StreamParts } from "./event-stream.ts";
import type { Handlers, Request, Upload } from "./handlers.ts";
import { throwAway } from "./let-go.ts";
import { REQUEST_ID_HEADER, refusedWith } from "./request-id.ts";
import type { PartySession, Session, Sessions } from "./sessions.ts";

/** A transfer in which nothing moves for so long is given up. */
const TRANSFER_IDLE_MS = 60_000;
/** The largest part of a result comes in time over a line of half a megabit a second. */
const UPLOAD_WITHIN_MS = 240_000;
const LEASE_CHARS_MAX = 80;
const PARTS = ["params", "query", "body"] as const;

interface RouteParts extends StreamParts {
  sessions: Sessions;
  logger: Logger;
  count(route: string, code: string, seconds: number): void;
  callers: Callers;
  door: Door;
  faults: Pick<Faults, "failed">;
}

/** A body that nobody will read is thrown away as it comes. */
function leaveBody(request: FastifyRequest): void {
  if (!request.raw.readableEnded) throwAway(request.raw);
}

export function answerRefusal(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  leaveBody(request);
  const { retryAfterMs } = refusal.facts;
  if (typeof retryAfterMs === "number") reply.header("retry-after", Math.ceil(retryAfterMs / 1000));
  // what Fastify refuses before any of its hooks has no header yet
  reply.header(REQUEST_ID_HEADER, request.id);
  // what is still to come of its body is not waited for
  if (!request.raw.complete) reply.header("connection", "close");
  return reply.code(ERROR_CODES[refusal.code].status).send(refusedWith(request.id, refusal));
}

const TOO_MANY_REST_MS = 1_000;
export const tooManyRequests = (): Refusal => refuse("rate_limited", { retryAfterMs: TOO_MANY_REST_MS });

/**
 * The connection of a request that could not pay is not read for a while after its answer, so that refusals cost less than requests. A
 * proxy's carries others' requests, too.
 */
export function restAfter({ raw: { socket } }: FastifyRequest, reply: FastifyReply, who: Callers, timers: Timers): void {
  // a request that was made up inside this process has no connection
  if (!(socket instanceof Socket) || who.isProxy(socket.remoteAddress)) return;
  // whatever is left of the request's own body is taken with its answer
  reply.raw.once("close", () =>
    setImmediate(() => {
      socket.pause();
      timers.after(TOO_MANY_REST_MS, () => void socket.resume());
    }),
  );
}

/** Of what Fastify itself refuses. */
export function bodyRefusal(
  { code, statusCode, message }: { code?: string; statusCode?: number; message: string },
  bytesMax: number,
): Refusal {
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return refuse("body_too_large", { bytesMax });
  return (statusCode ?? 500) < 500 ? refuse("bad_request", { path: "body", why: message.slice(0, 200) }) : refuse("internal");
}

/** Reads a body of bytes as far as it may be long. */
function uploadOf(request: FastifyRequest, reply: FastifyReply, { memory }: Door): Upload {
  return {
    async read(bytesMax) {
      if (Number(request.headers["content-length"] ?? 0) > bytesMax) return refuse("body_too_large", { bytesMax });
      const { body } = request;
      if (!isStream(body)) return { ok: true, bytes: Buffer.alloc(0) };
      const { read, free } = await readBody(body, { bytesMax, share: memory.transfers, withinMs: UPLOAD_WITHIN_MS });
      reply.raw.once("close", free);
      return read;
    },
  };
}

const isStream = (value: unknown): value is Readable => typeof value === "object" && value !== null && Symbol.asyncIterator in value;

/** Why this session may not use a route; null where it may. */
function sessionRefusal({ access, scope }: Route, session: Session | null): Refusal | null {
  if (access === "public") return null;
  if (session === null) return refuse("bad_token");
  if (access === "operator") return session.by === "operator" ? null : refuse("operator_only");
  if (session.by === "operator") return refuse("key_not_allowed", { why: "the operator's key is no party" });
  if (scope === null || session.key.scopes.includes(scope)) return null;
  return refuse("key_not_allowed", { role: session.key.role, scopes: session.key.scopes.join(" "), why: `this needs the scope ${scope}` });
}

/** Routes whose documents the desk takes up. */
const FOR_THE_DESK = new Set<RouteName>(["submit", "submitMany", "sealResult"]);

type Answered = { ok: true; send(): Promise<Refusal | null> } | Refusal;

interface Asked {
  session: Session | null;
  request: FastifyRequest;
  reply: FastifyReply;
  door: Door;
}

type Parsed<N extends RouteName> = { ok: true; request: Request<N> } | Refusal;

function parseRequest<N extends RouteName>(route: Route, { session, request, reply, door }: Asked): Parsed<N> {
  const parsed: { params?: unknown; query?: unknown; body?: unknown } = {};
  for (const part of PARTS) {
    const result = route[part]?.safeParse(request[part] ?? {});
    if (result && !result.success) {
      const [issue] = result.error.issues;
      return refuse("bad_request", { path: [part, ...(issue?.path ?? [])].join("."), why: issue?.message ?? "" });
    }
    parsed[part] = result?.data;
  }
  const body = route.rawBody ? uploadOf(request, reply, door) : parsed.body;
  // access and schemas of the table's row are what Request<N> says: the one place that tells the compiler so
  return { ok: true, request: { session, ...parsed, body } as Request<N> };
}

export class Routes {
  readonly #handlers: Handlers;
  readonly #parts: RouteParts;

  constructor(handlers: Handlers, parts: RouteParts) {
    this.#handlers = handlers;
    this.#parts = parts;
  }

  register(app: FastifyInstance, name: RouteName): void {
    const { method, path: url }: Route = API[name];
    const { count, logger, callers, door, timers } = this.#parts;
    app.route({
      method,
      url,
      onRequest: async (request, reply) => {
        if (door.admits(callers.of(request.raw))) return;
        restAfter(request, reply, callers, timers);
        return this.#refuse(name, request, reply, tooManyRequests());
      },
      handler: async (request, reply) => {
        try {
          const refusal = await this.#handle(name, request, reply);
          if (refusal) return this.#refuse(name, request, reply, refusal);
          count(name, "ok", reply.elapsedTime / 1_000);
          logger.debug(
            { requestId: request.id, route: name, ...leaseIn(request), ms: Math.round(reply.elapsedTime) },
            "a request was answered",
          );
          return reply;
        } catch (error) {
          return this.#refuse(name, request, reply, this.#failed(error, { requestId: request.id, route: name, ...leaseIn(request) }));
        }
      },
    });
  }

  /** What lasts, such as a database that is away, is told as one fault, whichever requests meet it. */
  #failed(error: unknown, asked: { requestId: string; route: RouteName }): Refusal {
    if (isPassing(error)) {
      this.#parts.faults.failed("requests find no database, or no signature", error, asked);
      if (error instanceof ArchiveAway) return refuse("unavailable", { why: ARCHIVE_AWAY });
      return isDiskFull(error) ? refuse("unavailable", { why: DISK_IS_FULL }) : refuse("unavailable");
    }
    this.#parts.logger.error({ ...asked, error: describeError(error) }, "a request failed");
    return refuse("internal");
  }

  #refuse(name: RouteName, request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
    this.#parts.count(name, refusal.code, reply.elapsedTime / 1_000);
    const asked = { requestId: request.id, route: name, ...leaseIn(request) };
    this.#parts.logger.debug({ ...asked, code: refusal.code, facts: refusal.facts }, "a request was refused");
    return answerRefusal(request, reply, refusal);
  }

  /** Answers when it is its turn, or says why not. */
  async #handle<N extends RouteName>(name: N, request: FastifyRequest, reply: FastifyReply): Promise<Refusal | null> {
    const end = await this.#turn(name, request);
    if (!end) {
      restAfter(request, reply, this.#parts.callers, this.#parts.timers);
      return tooManyRequests();
    }
    const answered = await this.#answer(name, request, reply).finally(end);
    return answered.ok ? answered.send() : answered;
  }

  /** Bytes that are read as they come have places of their own. */
  async #turn(name: RouteName, { raw }: FastifyRequest): Promise<(() => void) | null> {
    const { rawBody }: Route = API[name];
    if (rawBody) return () => {};
    const { turns } = this.#parts.door;
    const isGone = (): boolean => raw.socket?.destroyed ?? false;
    return turns[FOR_THE_DESK.has(name) ? "documents" : "reads"].take(this.#parts.callers.of(raw), isGone);
  }

  /** What to answer. A token that is sent counts on every route, and a wrong one is refused on every route. */
  async #answer<N extends RouteName>(name: N, request: FastifyRequest, reply: FastifyReply): Promise<Answered> {
    const route: Route = API[name];
    const header = request.headers.authorization;
    const token = header?.startsWith("Bearer ") ? header.slice("Bearer ".length) : undefined;
    const opened = token === undefined ? null : await this.#parts.sessions.check(token);
    if (opened && !opened.ok) return opened;
    const session = opened?.session ?? null;
    const refusal = sessionRefusal(route, session);
    if (refusal) return refusal;
    if (session?.by === "party" && !this.#parts.door.admitsParty(session)) return refuse("rate_limited", { retryAfterMs: 1_000 });
    const parsed = parseRequest<N>(route, { session, request, reply, door: this.#parts.door });
    if (!parsed.ok) return parsed;
    if (name === "events" && session?.by === "party" && request.headers.accept?.includes("text/event-stream"))
      return { ok: true, send: () => this.#stream(session, request, reply) };
    if (!this.#hasPlaceFor(route, session, reply))
      return refuse("rate_limited", { retryAfterMs: 1_000, why: "too many results are on their way at once" });
    const handled = await this.#handlers[name](parsed.request);
    return handled.ok ? { ok: true, send: () => this.#send(name, route, reply, handled.reply) } : handled;
  }

  /** What carries a whole result takes a place among the few that do so at once, until all of it is sent. */
  #hasPlaceFor({ access, raw, rawBody }: Route, session: Session | null, reply: FastifyReply): boolean {
    if (session === null || access !== "party" || !(rawBody || raw === "bytes")) return true;
    const free = this.#parts.door.take("transfers", session.party);
    if (free) reply.raw.setTimeout(TRANSFER_IDLE_MS, () => void reply.raw.destroy()).once("close", free);
    return free !== null;
  }

  async #send(name: RouteName, { raw, reply: schema }: Route, reply: FastifyReply, answer: unknown): Promise<Refusal | null> {
    if (raw === "bytes" && answer instanceof Uint8Array) {
      const held = this.#parts.door.memory.transfers.hold(() => void reply.raw.destroy());
      if (!held.add(answer.length)) return noRoom();
      reply.raw.once("close", () => held.end());
      await reply.type("application/octet-stream").send(Buffer.from(answer.buffer, answer.byteOffset, answer.length));
      return null;
    }
    const checked = schema.safeParse(answer);
    if (!checked.success || raw === "bytes") {
      const [issue] = checked.error?.issues ?? [];
      this.#parts.logger.error(
        { requestId: reply.request.id, route: name, path: issue?.path.join("."), why: issue?.message },
        "a reply is not what the API promises",
      );
      return refuse("internal");
    }
    await (raw === "text" ? reply.type("text/plain; charset=utf-8") : reply).send(checked.data);
    return null;
  }

  async #stream(session: PartySession, request: FastifyRequest, reply: FastifyReply): Promise<Refusal | null> {
    const { door, callers } = this.#parts;
    const last = request.headers["last-event-id"]?.toString();
    const query = API.events.query.safeParse({
      ...(typeof request.query === "object" ? request.query : {}),
      ...(last === undefined ? {} : { after: last }),
    });
    if (!query.success) return refuse("bad_request", { path: "last-event-id", why: "must be a cursor" });
    const leave = door.takeAll([
      ["partyStreams", session.party],
      ["addressStreams", callers.of(request.raw)],
    ]);
    if (!leave) return refuse("rate_limited", { retryAfterMs: 10_000, why: "this party, or this address, follows its events too often" });
    reply.hijack();
    const { raw } = reply;
    raw.once("close", leave);
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.writeHead(200, {
      [REQUEST_ID_HEADER]: request.id,
      "content-type": "text/event-stream",
      "cache-control": "no-store",
      connection: "keep-alive",
    });
    raw.flushHeaders();
    await streamEvents(raw, this.#parts, session, query.data.after ?? null);
    return null;
  }
}

const ARCHIVE_AWAY = "it is long over and lies in the market's archive, which its broker cannot read now";

/** What is no fault of the request, nor of this program. */
const isPassing = (error: unknown): boolean => error instanceof SigningStopped || error instanceof ArchiveAway || isDatabaseError(error);

/** The lease that a request is about, where its address says so. */
function leaseIn({ routeOptions: { url }, params }: FastifyRequest): { lease?: string } {
  if (!url?.includes("/leases/:id") || typeof params !== "object" || params === null || !("id" in params)) return {};
  return { lease: String(params.id).slice(0, LEASE_CHARS_MAX) };
}

/** Postgres' own codes are five characters; Node's connection errors start with E. */
function isDatabaseError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /^([0-9A-Z]{5}|E[A-Z]+)$/.test(code) || /Connection terminated|timeout exceeded|Cannot use a pool/.test(error.message);
}
const describeError = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));
