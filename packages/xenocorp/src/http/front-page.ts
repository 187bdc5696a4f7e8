/**
 * What a person sees who opens the broker's address in a browser: which market this is, whom it has to offer now, and how to take part.
 * Where this broker has the market's page, that takes its place as soon as its script runs; else no script runs in it, and nothing of it
 * is anybody's own. What it shows is looked up at most so often, whoever asks. Who controls the inputs: anyone (the Host header), owners
 * (their offers).
 */
import { createHash } from "node:crypto";
import { DRIVERS, DRIVER_NAMES, invariant, type Driver } from "@xenoservers/market";
import { API, fingerprintOf, type Crypto, type OfferView } from "@xenoservers/protocol";
import { pinsOf, type Timers } from "@xenoservers/protocol/link";
import type { FastifyInstance, FastifyRequest } from "fastify";
import type { Callers } from "./caller.ts";
import { STYLE, frontPageHtml, frontPageWith, type Shown } from "./front-page-html.ts";
import type { Handlers } from "./handlers.ts";
import { PAGE_HEADERS, type PageFiles, type PageSource } from "./page-files.ts";

const SERVERS_MAX = 20;
/** Then it is looked up anew. */
const FRESH_MS = 5_000;
const HOST = /^(?:[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?$/i;

const STYLE_HASH = `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;
const NOTHING_ELSE = ["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"] as const;
const PLAIN_POLICY = ["default-src 'none'", `style-src ${STYLE_HASH}`, ...NOTHING_ELSE].join("; ");

/** The page's own files alone, its own broker alone, and no text that becomes code or markup. `address`: where browsers are to find it. */
function pagePolicy(address: string | null): string {
  const links = address === null ? [] : [address.replace(/^http/, "ws")];
  return [
    ...["default-src 'none'", "script-src 'self'", `style-src 'self' ${STYLE_HASH}`, `connect-src ${["'self'", ...links].join(" ")}`],
    ...[...NOTHING_ELSE, "require-trusted-types-for 'script'", "trusted-types 'none'"],
  ].join("; ");
}

const HEADERS = { ...PAGE_HEADERS, "cache-control": "no-store", vary: "host" } as const;

type Read = Pick<Handlers, "market" | "offers">;
const OF_NOBODY = { session: null, params: undefined, body: undefined } as const;

/** The cheapest with room for a small job of each sort of guest, each server once. */
async function offersNow({ offers }: Read): Promise<OfferView[]> {
  const found = new Map<string, OfferView>();
  for (const driver of DRIVER_NAMES) {
    const query = API.offers.query.parse({ driver, terms: termsOf(driver), limit: SERVERS_MAX });
    const answer = await offers({ ...OF_NOBODY, query });
    if (answer.ok) for (const offer of answer.reply.offers) if (!found.has(offer.server)) found.set(offer.server, offer);
  }
  const byPrice = [...found.values()].toSorted((a, b) => Number(BigInt(a.priceNanosPerHour) - BigInt(b.priceNanosPerHour)));
  return byPrice.slice(0, SERVERS_MAX);
}

const termsOf = (driver: Driver): "on-result" | "by-interval" => (DRIVERS[driver].can.boots ? "by-interval" : "on-result");

/** As the reader's browser came here; null where that is no address that a person could type. */
function addressOf({ raw, headers }: FastifyRequest, { isProxy }: Callers): string | null {
  const { host } = headers;
  if (host === undefined || !HOST.test(host)) return null;
  const said = isProxy(raw.socket.remoteAddress) ? [headers["x-forwarded-proto"] ?? []].flat().join() : "";
  return `${said === "https" ? "https" : "http"}://${host}`;
}

interface FrontPageParts {
  reads: Read;
  crypto: Crypto;
  callers: Callers;
  timers: Timers;
  /** Null: this broker shows none. */
  page: PageSource | null;
  failed(what: string, error: unknown): void;
}

export function showFrontPage(app: FastifyInstance, { reads, crypto, callers, timers, page, failed }: FrontPageParts): void {
  let latest: { at: number; shown: Promise<Shown> } | null = null;
  const lookUp = async (): Promise<Shown> => {
    const said = await reads.market({ ...OF_NOBODY, query: undefined });
    invariant(said.ok, "what a market is, everyone may read");
    return { market: said.reply, fingerprint: fingerprintOf(crypto, pinsOf(said.reply)), offers: await offersNow(reads) };
  };
  const shownNow = (): Promise<Shown> => {
    if (latest !== null && timers.now() - latest.at < FRESH_MS) return latest.shown;
    const asked = { at: timers.now(), shown: lookUp() };
    latest = asked;
    asked.shown.catch((error: unknown) => {
      failed("the front page could not be made", error);
      if (latest === asked) latest = null;
    });
    return asked.shown;
  };
  /** Without it the reader still has what needs no script. */
  const pageNow = async (): Promise<PageFiles | null> => {
    try {
      return (await page?.()) ?? null;
    } catch (error) {
      failed("the market's page cannot be read", error);
      return null;
    }
  };
  app.get("/", async (request, reply) => {
    const [shown, files, address] = [await shownNow(), await pageNow(), addressOf(request, callers)];
    const html = files ? frontPageWith(files, shown, address) : frontPageHtml(shown, address);
    const policy = files ? pagePolicy(address) : PLAIN_POLICY;
    return reply
      .headers({ ...HEADERS, "content-security-policy": policy })
      .type("text/html; charset=utf-8")
      .send(html);
  });
}
