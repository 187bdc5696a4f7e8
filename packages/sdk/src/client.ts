/** The broker's API for one identity: typed reads, signed writes. Writes are signed once and re-sent byte for byte. */
import {
  API,
  leafHashOf,
  parseDocument,
  verifyPromise,
  zPromise,
  refuse,
  signDocument,
  toHex,
  type Crypto,
  type Envelope,
  type Kind,
  type Payload,
  type Promised,
  type Refusal,
  type Route,
  type RouteName,
  type RouteParams,
  type RouteQueryInput,
  type RouteReply,
} from "@xenoservers/protocol";
import { systemTimers, toRefusal, zMarketInfo, type LinkAnswer, type MarketInfo, type Pipe, type Timers } from "@xenoservers/protocol/link";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { MarketPins } from "@xenoservers/verify";
import type { Identity } from "./identity.ts";

/** A refusal by the broker, for callers that prefer exceptions. */
export class RefusedError extends Error {
  override name = "RefusedError";
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.code);
    this.refusal = refusal;
  }
}

export type ReadName = Exclude<RouteName, "submit" | "submitMany" | "challenge" | "token" | "cosign">;
interface ReadRequest<N extends RouteName> {
  params?: RouteParams<N>;
  query?: RouteQueryInput<N>;
}

const TRIES = 4;
const WAIT_MS = 250;
const RENEW_BEFORE_MS = 60_000;

export async function fetchMarket(url: string): Promise<MarketInfo> {
  const response = await fetch(new URL("/api/v1/market", url), { signal: AbortSignal.timeout(10_000) }).catch((cause: unknown) => {
    throw new Error(`no broker answers at ${url}; check the address, or start one with \`xeno broker\``, { cause });
  });
  const parsed = zMarketInfo.safeParse(await response.json().catch(() => null));
  if (!parsed.success) throw new Error(`what answers at ${url} is not a Xenoservers broker`);
  return parsed.data;
}

export class MarketClient {
  readonly url: string;
  readonly pins: MarketPins;
  readonly identity: Identity;
  readonly crypto: Crypto = nodeCrypto;
  readonly timers: Timers = systemTimers;
  /** Called with each checked promise: whoever keeps it can show later that it was not kept. */
  onPromise: (promise: Promised) => void = () => {};
  #token: { value: string; expiresAt: number } | null = null;

  constructor(url: string, pins: MarketPins, identity: Identity) {
    this.url = url;
    this.pins = pins;
    this.identity = identity;
  }

  sign<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">) {
    return signDocument(this.crypto, this.identity.signer, kind, { origin: this.pins.origin, seen: null, ...payload } as unknown as Payload<K>);
  }

  /** A way to the broker for links. */
  connect(): Promise<Pipe> {
    return connectPipe(this.url);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.timers.after(ms, resolve));
  }

  newId(): string {
    return toHex(this.crypto.randomBytes(16));
  }

  /** Signs and submits; throws RefusedError. */
  async act<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<Record<string, unknown>> {
    const answer = await this.submit(this.sign(kind, payload).envelope);
    if (!answer.ok) throw new RefusedError(answer);
    return answer.answer;
  }

  /** Sends a signed document, again when the broker cannot be reached: the same document is never done twice. */
  async submit(envelope: Envelope): Promise<LinkAnswer> {
    for (let attempt = 1; ; attempt++) {
      const reply = await this.#fetch("POST", API.submit.path, { envelope }, null).catch((cause: unknown) => cause as Error);
      const refusal =
        reply instanceof Error
          ? refuse("unavailable", { why: `no answer from ${this.url}` })
          : reply.ok
            ? null
            : toRefusal(((await reply.json()) as { error: Record<string, unknown> }).error);
      if (!refusal) {
        const answer = (await (reply as Response).json()) as Record<string, unknown>;
        this.#checkPromise(envelope, answer);
        return { ok: true, answer };
      }
      if ((refusal.code !== "unavailable" && refusal.code !== "rate_limited") || attempt >= TRIES) return refusal;
      await this.sleep(WAIT_MS * 2 ** attempt);
    }
  }

  /** The broker's promise must be for this document and by its pinned key: it is evidence if the leaf never comes. */
  #checkPromise(envelope: Envelope, { promise, at, salt }: Record<string, unknown>): void {
    const promised = zPromise.safeParse(promise);
    const document = parseDocument(this.crypto, envelope);
    const leaf = document.ok && typeof at === "number" && typeof salt === "string" ? leafHashOf(this.crypto, document.document, at, salt) : null;
    if (
      !promised.success ||
      promised.data.leaf !== leaf ||
      promised.data.origin !== this.pins.origin ||
      !verifyPromise(this.crypto, this.pins.keys.receipts, promised.data)
    ) {
      throw new Error("the broker's promise for this document is not right; keep what it answered and do not trust it");
    }
    this.onPromise(promised.data);
  }

  async read<N extends ReadName>(name: N, request: ReadRequest<N> = {}): Promise<RouteReply<N>> {
    const route: Route = API[name];
    const url = this.pathOf(name, request);
    for (let attempt = 1; ; attempt++) {
      const response = await this.#fetch("GET", url, null, await this.#session(route.access !== "public")).catch(() => {
        if (attempt < TRIES) return null;
        throw new RefusedError(refuse("unavailable", { why: `no answer from ${this.url}` }));
      });
      if (response?.ok)
        return (
          route.raw === "text" ? await response.text() : route.raw === "bytes" ? new Uint8Array(await response.arrayBuffer()) : await response.json()
        ) as RouteReply<N>;
      if (response) {
        const refusal = toRefusal(((await response.json()) as { error: Record<string, unknown> }).error);
        if (refusal.code === "bad_token") this.#token = null;
        const again = refusal.code === "bad_token" || refusal.code === "unavailable" || refusal.code === "rate_limited";
        if (!again || attempt >= TRIES) throw new RefusedError(refusal);
      }
      await this.sleep(WAIT_MS * attempt);
    }
  }

  pathOf<N extends ReadName>(name: N, { params, query }: ReadRequest<N>): string {
    let path: string = API[name].path;
    for (const [key, value] of Object.entries((params ?? {}) as Record<string, string>)) path = path.replace(key === "*" ? "*" : `:${key}`, value);
    const search = new URLSearchParams(
      Object.entries((query ?? {}) as Record<string, unknown>).flatMap(([key, value]) =>
        value === undefined ? [] : [[key, String(value)] as [string, string]],
      ),
    ).toString();
    return search === "" ? path : `${path}?${search}`;
  }

  async #session(needed: boolean): Promise<string | null> {
    if (!needed && !this.#token) return null;
    if (this.#token && this.#token.expiresAt > this.timers.now() + RENEW_BEFORE_MS) return this.#token.value;
    return this.login();
  }

  /** A fresh session token; also kept for later reads. */
  async login(): Promise<string> {
    const challenge = await this.#fetch("POST", API.challenge.path, {}, null);
    const { challenge: value } = (await challenge.json()) as { challenge: string };
    const login = this.sign("login", { party: this.identity.party, challenge: value });
    const response = await this.#fetch("POST", API.token.path, { login: login.envelope }, null);
    const body = (await response.json()) as { token: string; expiresAt: number; error?: Record<string, unknown> };
    if (!response.ok) throw new RefusedError(toRefusal(body.error ?? {}));
    this.#token = { value: body.token, expiresAt: body.expiresAt };
    return body.token;
  }

  #fetch(method: string, path: string, body: unknown, token: string | null): Promise<Response> {
    return fetch(new URL(path, this.url), {
      method,
      headers: { ...(body === null ? {} : { "content-type": "application/json" }), ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      body: body === null ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    });
  }
}
