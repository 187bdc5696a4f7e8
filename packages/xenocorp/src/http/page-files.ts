/**
 * The files of the market's page (packages/dashboard), which whoever starts this broker hands in. They are served under their own prefix,
 * as they are, to be run with nothing from elsewhere. Who controls the inputs: the operator (the files), anyone (which is asked for).
 */
import { gzipSync } from "node:zlib";
import { refuse } from "@xenoservers/protocol";
import type { Timers } from "@xenoservers/protocol/link";
import type { FastifyInstance } from "fastify";
import { answerRefusal } from "./routes.ts";

/** Where no route of the API can be: held by a test. */
export const PAGE_PREFIX = "/page/";

const TYPES = { js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8", txt: "text/plain; charset=utf-8" } as const;
type Ending = keyof typeof TYPES;
const isEnding = (ending: string): ending is Ending => Object.hasOwn(TYPES, ending);

/** By name. */
export interface PageFiles {
  script: string;
  style: string;
  files: ReadonlyMap<string, Uint8Array>;
}
/** Throws where there are none. */
export type PageSource = () => Promise<PageFiles>;

/** Then it is looked for again: to look may cost much, and anyone can ask. */
const AGAIN_MS = 30_000;

/** What is asked for once and kept; where that fails, for a while. */
export function keptPage(source: PageSource, { now }: Pick<Timers, "now">): PageSource {
  let kept: { page: Promise<PageFiles>; failedAt: number | null } | null = null;
  return () => {
    if (kept !== null && (kept.failedAt === null || now() - kept.failedAt < AGAIN_MS)) return kept.page;
    const asked: NonNullable<typeof kept> = { page: source(), failedAt: null };
    asked.page.catch(() => (asked.failedAt = now()));
    kept = asked;
    return asked.page;
  };
}

/**
 * What a browser is told of everything that comes from here: the page's own origin has keys, so nothing here is taken for a script or a
 * document that is not served as one, nor framed, nor left in a cache unless whoever serves it says so.
 */
export const EVERYWHERE = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
} as const;

export function guardAnswers(app: FastifyInstance): void {
  app.addHook("onRequest", async (_request, reply) => void reply.headers(EVERYWHERE));
}

/** What a browser is told of everything that this broker serves it as a page. */
export const PAGE_HEADERS = {
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
} as const;

const FILE_HEADERS = {
  ...PAGE_HEADERS,
  vary: "accept-encoding",
} as const;

/** A name that has a digest in it has these bytes for ever. */
const keptFor = (name: string): string => (/-[\w-]{8}\./.test(name) ? "public, max-age=31536000, immutable" : "no-cache");

/** Whoever says that it is worth nothing takes none. */
const takesGzip = (accepted: string): boolean => /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?![.\d]))/i.test(accepted);

export function servePageFiles(app: FastifyInstance, page: PageSource): void {
  const packed = new Map<string, Buffer>();
  const gzipped = (name: string, bytes: Uint8Array): Buffer => {
    const made = packed.get(name) ?? gzipSync(bytes);
    packed.set(name, made);
    return made;
  };
  app.get<{ Params: { name: string } }>(`${PAGE_PREFIX}:name`, async (request, reply) => {
    const { name } = request.params;
    const ending = name.split(".").at(-1) ?? "";
    const bytes = (await page()).files.get(name);
    if (!bytes || !isEnding(ending)) return answerRefusal(request, reply, refuse("not_found", { path: PAGE_PREFIX + name.slice(0, 200) }));
    reply.headers({ ...FILE_HEADERS, "cache-control": keptFor(name) }).type(TYPES[ending]);
    if (!takesGzip(request.headers["accept-encoding"] ?? "")) return reply.send(Buffer.from(bytes));
    return reply.header("content-encoding", "gzip").send(gzipped(name, bytes));
  });
}
