/**
 * By what a request is found again in the logs: each answer names it, each error carries it. Who controls the inputs: anyone sends headers;
 * what a request calls itself counts from a named proxy only, and only where it is short and plain.
 */
import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import { refusalBody, type Refusal } from "@xenoservers/protocol";
import type { Callers } from "./caller.ts";

export const REQUEST_ID_HEADER = "x-request-id";
const GIVEN = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/;
const BYTES = 9;

/** A proxy's own, or a new one. */
export function requestIdOf(
  who: Callers,
  { headers, socket }: { headers: IncomingHttpHeaders; socket: Pick<Socket, "remoteAddress"> },
): string {
  const given = headers[REQUEST_ID_HEADER];
  if (typeof given === "string" && GIVEN.test(given) && who.isProxy(socket.remoteAddress)) return given;
  return randomBytes(BYTES).toString("base64url");
}

/** A refusal as it goes to whoever asked, who may name the request to the operator. */
export function refusedWith(requestId: string, refusal: Refusal) {
  const { error } = refusalBody(refusal);
  return { error: { ...error, requestId } };
}
