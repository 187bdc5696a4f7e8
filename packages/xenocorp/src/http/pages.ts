/**
 * Which web pages may use this broker from a browser (CORS, and the Origin of a link): those that its operator names, and by default none,
 * so that no page that somebody happens to open reaches a broker on their machine or behind their firewall. It protects the broker's
 * neighbours, not the market: there are no cookies, and whoever is no browser sends what it likes. A page whose own name its owner has
 * changed to lead to this machine (DNS rebinding) is of the broker's origin to its browser, and is known by that name in the Host header.
 * Who controls the inputs: the operator (which pages), anyone (the headers).
 */
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { refuse, visible, type Refusal } from "@xenoservers/protocol";
import type { FastifyInstance } from "fastify";
import { REQUEST_ID_HEADER } from "./request-id.ts";
import { answerRefusal } from "./routes.ts";

/** Any page: what is public to all anyway. */
export const ANY_PAGE = "*";
/** Browsers ask again after that; none of them keeps it for longer than two hours. */
const KEPT_S = 7_200;

/** Of this machine: what no name elsewhere leads to. */
const isLoopback = (address = ""): boolean => /^(::ffff:)?127\./i.test(address) || address === "::1";

/** Without its port and brackets. */
function nameIn(host: string): string {
  const [, bracketed, plain = ""] = /^(?:\[(.*)\]|([^:]*))(?::\d*)?$/.exec(host.toLowerCase()) ?? [];
  return bracketed ?? plain;
}

/** Names that no page from elsewhere has: an address leads where it says. */
const leadsHere = (name: string): boolean => name === "localhost" || name.endsWith(".localhost") || isIP(name) > 0;

export class Pages {
  readonly #named: ReadonlySet<string>;
  /** As which a proxy of this machine may pass on what it is asked. */
  readonly #names: ReadonlySet<string>;
  /** Whether this broker serves a page itself, which may use it. */
  readonly #servesOne: boolean;

  /** `market`: its name. */
  constructor(named: readonly string[], market: string, servesOne: boolean) {
    this.#servesOne = servesOne;
    this.#named = new Set(named);
    this.#names = new Set([market.toLowerCase(), ...named.flatMap((page) => URL.parse(page)?.hostname ?? [])]);
  }

  /** Of what came over this machine's own loopback under a name from elsewhere; null where it is answered. */
  hostRefusal({ socket, headers: { host } }: Pick<IncomingMessage, "socket" | "headers">): Refusal | null {
    if (host === undefined || !isLoopback(socket.localAddress) || this.#named.has(ANY_PAGE)) return null;
    const name = nameIn(host);
    if (leadsHere(name) || this.#names.has(name)) return null;
    return refuse("page_not_allowed", { page: visible(host.slice(0, 200)) });
  }

  /** What a page of that origin is told; null where it may not use this broker. */
  allows(origin: string): string | null {
    if (this.#named.has(ANY_PAGE)) return ANY_PAGE;
    return this.#named.has(origin) ? origin : null;
  }

  /** Of a link, before it is one. Whoever is no page names no origin. */
  refusalOf({ origin, host }: Pick<IncomingMessage["headers"], "origin" | "host">): Refusal | null {
    if (origin === undefined || this.allows(origin) !== null) return null;
    if (this.#servesOne && host !== undefined && URL.parse(origin)?.host === host.toLowerCase()) return null;
    return refuse("page_not_allowed", { page: visible(origin.slice(0, 200)) });
  }
}

/** Tells browsers which pages may read what is answered. A browser that is told nothing lets no page read it. */
export function letPagesRead(app: FastifyInstance, pages: Pages, isProxied: (request: IncomingMessage) => boolean): void {
  app.addHook("onRequest", async (request, reply) => {
    const refusal = isProxied(request.raw) ? null : pages.hostRefusal(request.raw);
    if (refusal) return answerRefusal(request, reply, refusal);
    const { origin } = request.headers;
    if (origin === undefined) return;
    reply.header("vary", "origin");
    const told = pages.allows(origin);
    if (told === null) return;
    reply.header("access-control-allow-origin", told);
    reply.header("access-control-expose-headers", `${REQUEST_ID_HEADER}, retry-after`);
    if (request.method !== "OPTIONS" || request.headers["access-control-request-method"] === undefined) return;
    reply.header("access-control-allow-methods", "GET, POST");
    reply.header("access-control-allow-headers", "authorization, content-type");
    reply.header("access-control-max-age", KEPT_S);
    return reply.code(204).send();
  });
}
