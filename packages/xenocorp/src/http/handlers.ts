/**
 * Handlers of HTTP routes, typed by the API table: each gets a session of the access that the route asks for and what its schemas parsed,
 * and answers with what its reply schema describes. A route without a handler does not compile.
 */
import type { API, RouteName, RouteParams, RouteQuery, RouteReply, Refusal } from "@xenoservers/protocol";
import type * as z from "zod/mini";
import type { OperatorSession, PartySession, Session } from "./sessions.ts";

type RowOf<N extends RouteName> = (typeof API)[N];

/** A body of bytes, which is read only once its sender is known to have some business here. */
export interface Upload {
  /** At most so many bytes; the refusal where there are more, or the sender went away. */
  read(bytesMax: number): Promise<{ ok: true; bytes: Uint8Array } | Refusal>;
}

type BodyOf<N extends RouteName> =
  RowOf<N> extends { rawBody: true } ? Upload : RowOf<N> extends { body: infer S extends z.ZodMiniType } ? z.infer<S> : undefined;

type SessionOf<N extends RouteName> =
  RowOf<N> extends { access: "party" } ? PartySession : RowOf<N> extends { access: "operator" } ? OperatorSession : Session | null;

type ReplyOf<N extends RouteName> = RowOf<N> extends { raw: "bytes" } ? Uint8Array : RouteReply<N>;

export interface Request<N extends RouteName> {
  session: SessionOf<N>;
  params: RouteParams<N>;
  query: RouteQuery<N>;
  body: BodyOf<N>;
}

export type Handled<N extends RouteName> = { ok: true; reply: ReplyOf<N> } | Refusal;
type Handler<N extends RouteName> = (request: Request<N>) => Promise<Handled<N>>;
export type Handlers = { [N in RouteName]: Handler<N> };

export const done = <R>(reply: R): { ok: true; reply: R } => ({ ok: true, reply });
