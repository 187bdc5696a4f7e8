/**
 * Requests with a body that is long, or does not say how long it is, take one of a few places before a byte of it is read. Without one
 * they are refused, and their connection is read no more: it stays for a while, so that whoever sends hears why, and is ended then. Who
 * controls the inputs: anyone, every byte and when it comes.
 */
import { STATUS_CODES } from "node:http";
import { ERROR_CODES, refuse, type Refusal } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Callers } from "./caller.ts";
import type { Door } from "./door.ts";
import { hearNoMore } from "./connections.ts";
import { throwAway } from "./let-go.ts";
import { REQUEST_ID_HEADER, refusedWith } from "./request-id.ts";

/** Documents are shorter, nearly all of them, and come in one piece. */
const LONG_BYTES = 16 * 1024;
const REFUSED_STAYS_MS = 2_000;

/** A whole answer, for a connection that is not heard again. */
export function lastAnswer(requestId: string, refusal: Refusal): string {
  const { status } = ERROR_CODES[refusal.code];
  const body = JSON.stringify(refusedWith(requestId, refusal));
  const { retryAfterMs } = refusal.facts;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    `${REQUEST_ID_HEADER}: ${requestId}`,
    ...(typeof retryAfterMs === "number" ? [`retry-after: ${Math.ceil(retryAfterMs / 1000)}`] : []),
    "connection: close",
  ];
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

function isLong({ headers }: FastifyRequest): boolean {
  if (headers["transfer-encoding"] !== undefined) return true;
  return Number(headers["content-length"] ?? 0) > LONG_BYTES;
}

function refuseUnread(request: FastifyRequest, reply: FastifyReply, timers: Timers): void {
  const { socket } = request.raw;
  reply.hijack();
  // what has come is thrown away, and what has not stays with its sender
  throwAway(request.raw);
  hearNoMore(socket);
  socket.write(lastAnswer(request.id, refuse("overloaded", { retryAfterMs: 5_000, why: "too many long bodies are on their way now" })));
  socket.once(
    "close",
    timers.after(REFUSED_STAYS_MS, () => void socket.destroy()),
  );
}

/** `has`: whether a request's body has bounds of its own. */
export function boundLongBodies(app: FastifyInstance, door: Door, { of }: Callers, timers: Timers, has: (url: string) => boolean): void {
  app.addHook("onRequest", async (request, reply) => {
    if (!isLong(request) || has(request.routeOptions.url ?? "")) return;
    const leave = door.take("longBodies", of(request.raw));
    if (!leave) return refuseUnread(request, reply, timers);
    reply.raw.once("close", leave);
  });
}
