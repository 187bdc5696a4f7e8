/**
 * One question to a registry or to the place where it has people log in, with its answer as the bytes that came: nothing is unpacked on the
 * way, because digests are of what lies there. Who controls the inputs: the other side, every byte, and when they come.
 */
import type { RequestOptions } from "node:https";
import type { Timers } from "@xenoservers/protocol/link";
import { Answer, SILENCE_MS_MAX, causeOf, isBusy, openSslReason } from "./answer.ts";
import { proxyFor, type EnvProxy } from "./env-proxy.ts";
import { httpRequest, httpsRequest } from "./node-http.ts";
import { Mishap } from "./patience.ts";
import { OciError } from "./source.ts";
import { NoTunnel, wayThrough } from "./through-proxy.ts";

const REDIRECTS_MAX = 8;
/** Of an answer: ways that are signed, and policies of those on the way, are long. */
const HEAD_BYTES_MAX = 256 * 1024;

export interface Question {
  headers: Readonly<Record<string, string>>;
  /** A form to be posted; null: it is a GET. */
  form?: URLSearchParams;
}

export interface Asker {
  timers: Timers;
  /** Whether it may be gone to: never from an encrypted place to one that is not. */
  mayGo(url: URL): boolean;
  /** Whether it is taken at its word there, whoever vouches for its certificate: settings say so. */
  isInsecure?(url: URL): boolean;
  /** Who vouches for places there besides, and what is shown of oneself; undefined: nothing but the usual. */
  secured?(url: URL): Promise<Secured | undefined>;
  /** Where such would lie. */
  certificates?: string;
}

type Secured = Pick<RequestOptions, "ca" | "cert" | "key">;

/** What a second try changes nothing about. */
const FINAL: ReadonlySet<string> = new Set(["ENOTFOUND", "EACCES", "EPERM", "ERR_INVALID_URL", "ERR_INVALID_CHAR"]);
const isFinal = (code: string): boolean =>
  FINAL.has(code) || /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/.test(code);

/** It wants to know who asks. */
const wantsCertificate = (code: string): boolean => /^ERR_SSL_.*ALERT_(?:CERTIFICATE_REQUIRED|BAD_CERTIFICATE)$/.test(code);
/** It does not take what was shown to it. */
const refusesCertificate = (code: string): boolean =>
  /^ERR_SSL_.*ALERT_(?:UNKNOWN_CA|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(?:EXPIRED|REVOKED|UNKNOWN))$/.test(code);
/** Nobody whom this machine knows vouches for it. */
const isUnknown = (code: string): boolean => /^(?:DEPTH_ZERO_SELF|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY))/.test(code);

/** Node names what OpenSSL says by such a code, but not where it said so while something was written. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error) || !("code" in error)) return "";
  const reason = error.code === "EPROTO" ? openSslReason(error) : null;
  return reason === null ? String(error.code) : `ERR_SSL_${reason.replaceAll(" ", "_").toUpperCase()}`;
}

/** There is no such place, or none that can be trusted. */
export class NoWay extends OciError {}

/** It has a certificate that nobody vouches for whom this machine knows. */
export class Untrusted extends NoWay {}

/** Nobody listens there; whether that is final, only who has been there before can say. */
export class Unreachable extends Mishap {}

function failure(url: URL, error: unknown, { certificates }: Asker): Error {
  if (error instanceof Mishap || error instanceof OciError) return error;
  const code = codeOf(error);
  if (wantsCertificate(code) && certificates !== undefined)
    return new NoWay(
      `${url.host} wants the certificate of whoever asks: put it and its key into ${certificates} as client.cert and client.key`,
      {
        cause: error,
      },
    );
  if (refusesCertificate(code) && certificates !== undefined)
    return new NoWay(`${url.host} does not take the certificate that lies in ${certificates} (${code})`, { cause: error });
  if (isUnknown(code) && certificates !== undefined) {
    const advice = `if it is yours, put the certificate of who does into ${certificates} as ca.crt`;
    return new Untrusted(`nobody whom this machine trusts vouches for ${url.host} (${code}); ${advice}`, { cause: error });
  }
  const why = `${url.host} cannot be reached (${causeOf(error)})`;
  if (isFinal(code)) return new NoWay(`${why}; check its name, and your connection`, { cause: error });
  return code === "ECONNREFUSED" ? new Unreachable(why) : new Mishap(why);
}

const PROXY_ASKS = 407;

const asksToLogIn = ({ url, variable }: EnvProxy): NoWay =>
  new NoWay(
    url.username === ""
      ? `the proxy ${url.host} asks for a login: write it into ${variable}, as http://USER:PASSWORD@HOST:PORT`
      : `the proxy ${url.host} does not take the login that ${variable} holds`,
  );

function failureOfProxy(proxy: EnvProxy, to: URL, error: unknown): Error {
  const { url, variable } = proxy;
  if (error instanceof Mishap) return error;
  if (error instanceof NoTunnel) {
    if (error.status === PROXY_ASKS) return asksToLogIn(proxy);
    const why = `the proxy ${url.host} (${variable}) leads nobody to ${to.host} (${error.status})`;
    return isBusy(error.status) ? new Mishap(why) : new NoWay(`${why}: NO_PROXY names places that are asked without it`);
  }
  const why = `the proxy ${url.host}, which ${variable} names, cannot be reached (${causeOf(error)})`;
  if (isFinal(codeOf(error))) return new NoWay(`${why}; check its name, and your connection`, { cause: error });
  return codeOf(error) === "ECONNREFUSED" ? new Unreachable(why) : new Mishap(why);
}

type Way = Awaited<ReturnType<typeof wayThrough>>;

/** Rejects in words where the proxy gives none. */
async function wayTo(url: URL, proxy: EnvProxy | null, secured: Parameters<typeof wayThrough>[2], timers: Timers): Promise<Way> {
  if (proxy === null) return { request: url.protocol === "https:" ? httpsRequest : httpRequest, options: secured, headers: {} };
  const silent = new AbortController();
  const heard = timers.after(SILENCE_MS_MAX, () => silent.abort());
  try {
    return await wayThrough(proxy, url, secured, silent.signal);
  } catch (error) {
    throw failureOfProxy(proxy, url, silent.signal.aborted ? new Mishap(`the proxy ${proxy.url.host} does not answer`) : error);
  } finally {
    heard();
  }
}

async function once(url: URL, { headers, form }: Question, asker: Asker): Promise<Answer> {
  const { timers, isInsecure } = asker;
  const proxy = proxyFor(url);
  const secured = {
    ...(url.protocol === "https:" ? await asker.secured?.(url) : undefined),
    ...(isInsecure?.(url) === true ? { rejectUnauthorized: false } : {}),
  };
  const way = await wayTo(url, proxy, secured, timers);
  return new Promise((resolve, reject) => {
    const body = form?.toString();
    const posted = body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded", "content-length": String(body.length) };
    const request = way.request(url, {
      method: body === undefined ? "GET" : "POST",
      maxHeaderSize: HEAD_BYTES_MAX,
      headers: { "user-agent": "xenoservers", "accept-encoding": "identity", ...headers, ...posted, ...way.headers },
      ...way.options,
    });
    const heard = timers.after(SILENCE_MS_MAX, () => request.destroy(new Mishap(`${url.host} does not answer`)));
    request.once("response", (response) => {
      heard();
      if (proxy === null || response.statusCode !== PROXY_ASKS) return resolve(new Answer(response, url, timers));
      response.destroy();
      reject(asksToLogIn(proxy));
    });
    request.once("error", (error) => {
      heard();
      const isOfProxy = proxy !== null && url.protocol === "http:";
      reject(isOfProxy ? failureOfProxy(proxy, url, error) : failure(url, error, asker));
    });
    request.end(body);
  });
}

/** What is passed to any place but the one that it was meant for. */
const withoutSecrets = (headers: Question["headers"]): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));

/** Whatever is answered in the end. Throws Mishap or OciError. */
export async function ask(from: URL, question: Question, asker: Asker): Promise<Answer> {
  let url = from;
  let asked = question;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const answer = await once(url, asked, asker);
    const { status, headers } = answer;
    if (![301, 302, 303, 307, 308].includes(status) || headers.location === undefined) return answer;
    answer.drop();
    if (!URL.canParse(headers.location, url.href)) throw new OciError(`${url.host} leads to a place that is none`);
    const next = new URL(headers.location, url);
    if (!asker.mayGo(next))
      throw new OciError(`${url.host} leads to ${next.host} without encryption, or by another protocol: that way is not gone`);
    // a form holds a password: it goes nowhere else
    if (asked.form && next.origin !== url.origin)
      throw new OciError(`${url.host} leads elsewhere to log in, to ${next.host}: that way is not gone`);
    if (next.origin !== url.origin) asked = { headers: withoutSecrets(asked.headers) };
    url = next;
  }
  throw new OciError(`${from.host} leads from one place to another without end`);
}
