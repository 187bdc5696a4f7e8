/**
 * The broker's API for one identity: typed reads, signed writes. Writes are signed once and re-sent byte for byte; replies are checked
 * against the API's table. Who controls the inputs: the broker, every byte of its answers.
 */
import {
  API,
  Addresses,
  isTakenLater,
  leafHashOf,
  parseDocument,
  parseRefusal,
  refuse,
  samePins,
  signDocument,
  toHex,
  verifyPromise,
  visible,
  zAddresses,
  zPromise,
  zTime,
  type AnyDocument,
  type Crypto,
  type Envelope,
  type Kind,
  type MarketPins,
  type Payload,
  type Promised,
  type Refusal,
  type Route,
  type RouteName,
  type RouteParams,
  type RouteQueryInput,
  type RouteReply,
  type SignedDocument,
} from "@xenoservers/protocol";
import { pinsOf, systemTimers, zMarketInfo, type LinkAnswer, type MarketInfo, type Pipe, type Timers } from "@xenoservers/protocol/link";
import { ask, systemCrypto, type Answer } from "@xenoservers/protocol/system";
import { connectPipe } from "@xenoservers/protocol/websocket";
import * as z from "zod/mini";
import { answeredDocument } from "./answered.ts";
import { BrokenWordError, InputError, RefusedError } from "./errors.ts";
import { fetchFrom } from "./fetch-from.ts";
import type { Identity } from "./identity.ts";

/** A document that the broker took at its time `at`: what it answered, and its promise, which was checked. */
export interface Filed {
  document: AnyDocument;
  at: number;
  promise: Promised;
  answer: Record<string, unknown>;
}

type BytesName = "tile" | "sealed";
export type ReadName = Exclude<
  RouteName,
  "submit" | "submitMany" | "challenge" | "token" | "cosign" | "sealPart" | "sealResult" | BytesName
>;
interface ReadRequest<N extends RouteName> {
  params?: RouteParams<N>;
  query?: RouteQueryInput<N>;
  /** Nobody waits for the answer any more; rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** Public, and answering a caller that it knows with more: what serves only the caller. */
const ANSWERS_ITS_CALLER: ReadonlySet<RouteName> = new Set(["offers"]);

const TRIES = 4;
const WAIT_MS = 250;
const ANSWER_MS = 30_000;
const SLOW_MS = 10_000;
const RENEW_BEFORE_MS = 60_000;
const MARKET_FRESH_MS = 30_000;

const zRefused = z.looseObject({ error: z.record(z.string(), z.unknown()) });
const zAnswer = z.record(z.string(), z.unknown());
const zTaken = z.looseObject({ promise: zPromise, at: zTime, salt: z.string() });

async function refusalIn(response: Answer): Promise<Refusal> {
  const body = zRefused.safeParse(await response.json().catch(() => null));
  return body.success
    ? parseRefusal(body.data.error)
    : refuse("unavailable", { why: `what answers is no broker (HTTP ${response.status})` });
}

/** Null where it is no JSON; rejects where it did not come whole, which is nobody's broken word. */
const jsonIn = (answer: Answer): Promise<unknown> =>
  answer.json().catch((error: unknown) => {
    if (error instanceof SyntaxError) return null;
    throw error;
  });

const unavailable = (why: string, cause: unknown): RefusedError => new RefusedError(refuse("unavailable", { why }), { cause });

/** `url`: one or several addresses of the market. Throws InputError (`bad_input`), or RefusedError (`unavailable`) where no broker is. */
export async function fetchMarket(url: string): Promise<MarketInfo> {
  if (!zAddresses.safeParse(url).success)
    throw new InputError(`'${visible(url)}' is no broker's address: write http://HOST:PORT or https://HOST`);
  const response = await fetchFrom(url, API.market.path, { signal: AbortSignal.timeout(10_000) }).catch((cause: unknown) => {
    throw unavailable(`no broker answers at ${url}: check the address, or start \`xeno broker\``, cause);
  });
  if (!response.ok) throw new RefusedError(await refusalIn(response));
  const parsed = zMarketInfo.safeParse(await response.json().catch(() => null));
  if (!parsed.success) throw unavailable(`what answers at ${url} is no broker`, parsed.error);
  return parsed.data;
}

export class MarketClient {
  /** One or several addresses of the market. */
  readonly url: string;
  readonly #addresses: Addresses;
  readonly pins: MarketPins;
  readonly identity: Identity;
  readonly crypto: Crypto = systemCrypto;
  readonly timers: Timers = systemTimers;
  /** Called with each document that was taken: whoever keeps it, and its promise, can show later that the broker left it out. */
  onFiled: (filed: Filed) => void = () => {};
  /** Called with each request before it is sent; `asCaller`: a session's token goes with it, which is a secret. */
  onCall: (call: { method: string; url: string; body: string | null; asCaller: boolean }) => void = () => {};
  /** Called where a broker takes its time to answer: it is waited for all the same. */
  onSlow: (broker: string) => void = () => {};
  #token: { value: string; expiresAt: number } | null = null;
  #loggingIn: Promise<string> | null = null;
  #market: { info: MarketInfo; readAt: number } | null = null;

  constructor(url: string, pins: MarketPins, identity: Identity) {
    this.url = url;
    this.#addresses = new Addresses(url);
    this.pins = pins;
    this.identity = identity;
  }

  sign<K extends Kind>(kind: K, own: Omit<Payload<K>, "origin" | "seen">): SignedDocument<K> {
    const seen = this.#market?.info.log ?? null;
    // every payload is its own part and these two
    return signDocument(this.crypto, this.identity.signer, kind, { origin: this.pins.origin, seen, ...own } as Payload<K>);
  }

  /** A way to the broker for links. */
  connect(): Promise<Pipe> {
    return this.#addresses.first(connectPipe);
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.timers.after(ms, resolve));
  }

  newId(): string {
    return toHex(this.crypto.randomBytes(16));
  }

  /** The market's description, read again after a while or when `fresh`; throws where it shows other keys than the pinned ones. */
  async market(fresh = false): Promise<MarketInfo> {
    if (!fresh && this.#market && this.timers.now() - this.#market.readAt < MARKET_FRESH_MS) return this.#market.info;
    const info = await this.read("market");
    if (!samePins(pinsOf(info), this.pins))
      throw new BrokenWordError("the broker shows other keys than were pinned at login; do not use it before its operator explains");
    this.#market = { info, readAt: this.timers.now() };
    return info;
  }

  /** The broker's time, as far as it was read; this machine's until then. */
  brokerNow(): number {
    const offset = this.#market ? this.#market.info.now - this.#market.readAt : 0;
    return this.timers.now() + offset;
  }

  /** When so long has passed, in the broker's time: what a document says of times is judged by that clock, whatever this machine's says. */
  async brokerTimeIn(ms: number): Promise<number> {
    await this.market();
    return this.brokerNow() + ms;
  }

  /** Signs and submits; throws RefusedError. */
  async act<K extends Kind>(kind: K, payload: Omit<Payload<K>, "origin" | "seen">): Promise<Record<string, unknown>> {
    const answer = await this.submit(this.sign(kind, payload).envelope);
    if (!answer.ok) throw new RefusedError(answer);
    return answer.answer;
  }

  /**
   * Sends a signed document, again when the broker cannot be reached: the same document is never done twice. `waits`: an order for which
   * there is no room now waits for some until it expires.
   */
  async submit(envelope: Envelope, { waits = false }: { waits?: boolean } = {}): Promise<LinkAnswer> {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#fetch("POST", API.submit.path, { envelope, ...(waits ? { waits } : {}) }, null).catch(() => null);
      // one that was cut is asked for again, as one that never came
      const taken = response?.ok ? await jsonIn(response).catch(() => undefined) : undefined;
      if (taken !== undefined) {
        const answer = zAnswer.parse(taken);
        this.onFiled(this.#checkPromise(envelope, answer));
        return { ok: true, answer };
      }
      const refusal = response && !response.ok ? await refusalIn(response) : refuse("unavailable", { why: `no answer from ${this.url}` });
      if (!isTakenLater(refusal.code) || attempt >= TRIES) return refusal;
      await this.sleep(WAIT_MS * 2 ** attempt);
    }
  }

  /** The broker's promise must be for this document and by its pinned key: it is evidence if the leaf never comes. */
  #checkPromise(envelope: Envelope, answer: Record<string, unknown>): Filed {
    const taken = zTaken.safeParse(answer).data;
    const parsed = parseDocument(this.crypto, envelope);
    const document = parsed.ok ? answeredDocument(this.crypto, parsed.document, answer) : null;
    if (
      !taken ||
      !document ||
      taken.promise.leaf !== leafHashOf(this.crypto, document, taken.at, taken.salt) ||
      taken.promise.origin !== this.pins.origin ||
      !verifyPromise(this.crypto, this.pins.keys.receipts, taken.promise)
    ) {
      throw new BrokenWordError("the broker's promise for this document is not right: do not trust it");
    }
    return { document, at: taken.at, promise: taken.promise, answer };
  }

  async read<N extends ReadName>(name: N, request: ReadRequest<N> = {}): Promise<RouteReply<N>> {
    const route: Route = API[name];
    const reply = route.reply.safeParse(
      await this.#get(name, request, (answer) => (route.raw === "text" ? answer.text() : jsonIn(answer))),
    );
    if (!reply.success)
      throw new BrokenWordError(
        `the broker's answer (${name}) is not what its API says, at '${reply.error.issues[0]?.path.join(".") ?? ""}'`,
      );
    // parsed by that very route's schema
    return reply.data as RouteReply<N>;
  }

  async readBytes<N extends BytesName>(name: N, request: ReadRequest<N>): Promise<Uint8Array> {
    return new Uint8Array(await this.#get(name, request, (answer) => answer.arrayBuffer()));
  }

  /** `take`: reads the answer; one that is cut is asked for again. */
  async #get<N extends RouteName, T>(name: N, request: ReadRequest<N>, take: (answer: Answer) => Promise<T>): Promise<T> {
    const route: Route = API[name];
    const url = this.pathOf(name, request);
    for (let attempt = 1; ; attempt++) {
      const got = await this.#once(url, route.access !== "public" || ANSWERS_ITS_CALLER.has(name), request.signal, take);
      request.signal?.throwIfAborted();
      if (!("code" in got)) return got.taken;
      if (got.code === "bad_token") this.#token = null;
      if ((got.code !== "bad_token" && !isTakenLater(got.code)) || attempt >= TRIES) throw new RefusedError(got);
      await this.sleep(WAIT_MS * attempt);
    }
  }

  async #once<T>(
    path: string,
    asCaller: boolean,
    signal: AbortSignal | undefined,
    take: (answer: Answer) => Promise<T>,
  ): Promise<{ taken: T } | Refusal> {
    try {
      const response = await this.#fetch("GET", path, null, await this.#session(asCaller), signal);
      return response.ok ? { taken: await take(response) } : await refusalIn(response);
    } catch (error) {
      return error instanceof RefusedError ? error.refusal : refuse("unavailable", { why: `no answer from ${this.url}` });
    }
  }

  pathOf<N extends RouteName>(name: N, { params, query }: ReadRequest<N>): string {
    let path: string = API[name].path;
    for (const [key, value] of Object.entries(params ?? {})) path = path.replace(key === "*" ? "*" : `:${key}`, String(value));
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) search.append(key, String(value));
    return search.size === 0 ? path : `${path}?${search.toString()}`;
  }

  async #session(needed: boolean): Promise<string | null> {
    if (!needed && !this.#token) return null;
    if (this.#token && this.#token.expiresAt > this.timers.now() + RENEW_BEFORE_MS) return this.#token.value;
    // what is asked at once has one login
    this.#loggingIn ??= this.login().finally(() => (this.#loggingIn = null));
    return this.#loggingIn;
  }

  /** A fresh session token; also kept for later reads. */
  async login(): Promise<string> {
    const asked = await this.#fetch("POST", API.challenge.path, {}, null);
    if (!asked.ok) throw new RefusedError(await refusalIn(asked));
    const { challenge } = API.challenge.reply.parse(await asked.json());
    const login = this.sign("login", { party: this.identity.party, challenge });
    const response = await this.#fetch("POST", API.token.path, { login: login.envelope }, null);
    if (!response.ok) throw new RefusedError(await refusalIn(response));
    const { token, expiresAt } = API.token.reply.parse(await response.json());
    this.#token = { value: token, expiresAt };
    return token;
  }

  #fetch(method: string, path: string, body: unknown, token: string | null, ended?: AbortSignal): Promise<Answer> {
    const headers = {
      ...(body === null ? {} : { "content-type": "application/json" }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    };
    const said = body === null ? null : JSON.stringify(body);
    return this.#addresses.first((address) => {
      const url = new URL(path, address);
      this.onCall({ method, url: url.href, body: said, asCaller: token !== null });
      const late = AbortSignal.timeout(ANSWER_MS);
      const answered = this.timers.after(SLOW_MS, () => this.onSlow(url.origin));
      return ask(url, { method, headers, body: said, signal: ended ? AbortSignal.any([ended, late]) : late }).finally(answered);
    });
  }
}
