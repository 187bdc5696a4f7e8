/**
 * Which web pages may use this broker from a browser (CORS, and the Origin of a link): those that its operator names, and by default none,
 * so that no page that somebody happens to open reaches a broker on their machine or behind their firewall. It protects the broker's
 * neighbours, not the market: there are no cookies, and whoever is no browser sends what it likes. Who controls the inputs: the operator
 * (which pages), anyone (the headers).
 */
import { refuse, visible, type Refusal } from "@xenoservers/protocol";
import type { FastifyInstance } from "fastify";
import { REQUEST_ID_HEADER } from "./request-id.ts";

/** Any page: what is public to all anyway. */
export const ANY_PAGE = "*";
/** Browsers ask again after that; none of them keeps it for longer than two hours. */
const KEPT_S = 7_200;

export class Pages {
  readonly #named: ReadonlySet<string>;

  constructor(named: readonly string[]) {
    this.#named = new Set(named);
  }

  /** What a page of that origin is told; null where it may not use this broker. */
  allows(origin: string): string | null {
    if (this.#named.has(ANY_PAGE)) return ANY_PAGE;
    return this.#named.has(origin) ? origin : null;
  }

  /** Of a link, before it is one. Whoever is no page names no origin. */
  refusalOf(origin: string | undefined): Refusal | null {
    if (origin === undefined || this.allows(origin) !== null) return null;
    return refuse("page_not_allowed", { page: visible(origin.slice(0, 200)) });
  }
}

/** Tells browsers which pages may read what is answered. A browser that is told nothing lets no page read it. */
export function letPagesRead(app: FastifyInstance, pages: Pages): void {
  app.addHook("onRequest", async (request, reply) => {
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
