/**
 * What a daemon asks of its broker over HTTP, with its server's own key: the market's terms, the log of a lease, room for sealed results.
 */
import {
  API,
  parseRefusal,
  refuse,
  signDocument,
  type Addresses,
  type Crypto,
  type LogPage,
  type ServerStanding,
  type Signer,
} from "@xenoservers/protocol";
import { zMarketInfo, type LinkAnswer, type MarketInfo } from "@xenoservers/protocol/link";
import { z } from "zod";
import type { BrokerApi } from "../lease/runner-world.ts";

const WITHIN_MS = 30_000;
/** A part is large and an owner's line may be slow: the broker itself waits as long. */
const PART_WITHIN_MS = 300_000;
const RENEW_BEFORE_MS = 60_000;
/** Of a lease's log, so many documents are asked for at once. */
const LOGGED_AT_ONCE = 500;
/** Somebody waits for it at a terminal. */
const STANDING_WITHIN_MS = 2_000;

interface BrokerApiOptions {
  addresses: Addresses;
  crypto: Crypto;
  signer: Signer;
  origin: string;
  owner: string;
}

const zChallenge = API.challenge.reply;
const zToken = API.token.reply;
const zError = z.object({ error: z.record(z.string(), z.unknown()) });
const zAnswer = z.record(z.string(), z.unknown());

/** The answer, or the broker's refusal; no answer at all is one that may be asked for again. */
async function answerOf(response: Promise<Response>): Promise<LinkAnswer> {
  const reply = await response.catch(() => null);
  const body: unknown = await reply?.json().catch(() => null);
  if (!reply || (!reply.ok && !zError.safeParse(body).success)) return refuse("unavailable", { why: "the broker does not answer" });
  if (!reply.ok) return parseRefusal(zError.parse(body).error);
  const answer = zAnswer.safeParse(body);
  return answer.success ? { ok: true, answer: answer.data } : refuse("internal", { why: "the broker's answer cannot be read" });
}

export class HttpBrokerApi implements BrokerApi {
  readonly #options: BrokerApiOptions;
  #token: { value: string; expiresAt: number } | null = null;

  constructor(options: BrokerApiOptions) {
    this.#options = options;
  }

  #fetch(
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body: string | Uint8Array<ArrayBuffer> | null = null,
    withinMs = WITHIN_MS,
  ) {
    return this.#options.addresses.first((address) =>
      fetch(new URL(path, address), { method, headers, body, signal: AbortSignal.timeout(withinMs) }),
    );
  }

  async #post(path: string, body: unknown): Promise<LinkAnswer> {
    return answerOf(this.#fetch("POST", path, { "content-type": "application/json" }, JSON.stringify(body)));
  }

  /** Null where the broker gives none. */
  async #authorization(): Promise<Record<string, string> | null> {
    if (!this.#token || this.#token.expiresAt < Date.now() + RENEW_BEFORE_MS) this.#token = await this.#login();
    return this.#token && { authorization: `Bearer ${this.#token.value}` };
  }

  async #login() {
    const { crypto, signer, origin, owner } = this.#options;
    const asked = await this.#post(API.challenge.path, {});
    const challenge = asked.ok ? zChallenge.safeParse(asked.answer) : null;
    if (!challenge?.success) return null;
    const login = signDocument(crypto, signer, "login", { origin, seen: null, party: owner, challenge: challenge.data.challenge });
    const given = await this.#post(API.token.path, { login: login.envelope });
    const token = given.ok ? zToken.safeParse(given.answer) : null;
    return token?.success ? { value: token.data.token, expiresAt: token.data.expiresAt } : null;
  }

  async #asServer(ask: (headers: Record<string, string>) => Promise<Response>): Promise<LinkAnswer> {
    const authorization = await this.#authorization();
    if (!authorization) return refuse("unavailable", { why: "the broker gives no token" });
    const answer = await answerOf(ask(authorization));
    if (answer.ok || answer.code !== "bad_token") return answer;
    // the broker was started anew: its tokens are others
    this.#token = null;
    return refuse("unavailable", { why: "the token has expired" });
  }

  async market(): Promise<MarketInfo | null> {
    const answer = await answerOf(this.#fetch("GET", API.market.path));
    const market = answer.ok ? zMarketInfo.safeParse(answer.answer) : null;
    return market?.success ? market.data : null;
  }

  async logged(lease: string, after: string | null): Promise<LogPage | null> {
    const query = new URLSearchParams({ limit: String(LOGGED_AT_ONCE), ...(after === null ? {} : { after }) });
    const path = `${API.leaseLog.path.replace(":id", lease)}?${query}`;
    const answer = await this.#asServer((headers) => this.#fetch("GET", path, headers));
    const page = answer.ok ? API.leaseLog.reply.safeParse(answer.answer) : null;
    return page?.success ? page.data : null;
  }

  /** How this server stands with the broker; null where that cannot be had soon. */
  standing(): Promise<ServerStanding | null> {
    const late = new Promise<null>((resolve) => setTimeout(resolve, STANDING_WITHIN_MS, null).unref());
    return Promise.race([this.#standing().catch(() => null), late]);
  }

  async #standing(): Promise<ServerStanding | null> {
    const answer = await this.#asServer((headers) => this.#fetch("GET", API.servers.path, headers, null, STANDING_WITHIN_MS));
    const standing = answer.ok ? API.servers.reply.safeParse(answer.answer) : null;
    return standing?.data?.servers[0] ?? null;
  }

  sealPart(lease: string, part: number, bytes: Uint8Array): Promise<LinkAnswer> {
    const path = API.sealPart.path.replace(":id", lease).replace(":part", String(part));
    const headers = { "content-type": "application/octet-stream" };
    return this.#asServer((more) => this.#fetch(API.sealPart.method, path, { ...headers, ...more }, new Uint8Array(bytes), PART_WITHIN_MS));
  }

  sealed(lease: string, parts: number): Promise<LinkAnswer> {
    const path = API.sealResult.path.replace(":id", lease);
    const headers = { "content-type": "application/json" };
    return this.#asServer((more) => this.#fetch(API.sealResult.method, path, { ...headers, ...more }, JSON.stringify({ parts })));
  }
}
