/**
 * One question to a registry or to the place where it has people log in, with its answer as the bytes that came: nothing is unpacked on the
 * way, because digests are of what lies there. Who controls the inputs: the other side, every byte, and when they come.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Timers } from "@xenoservers/protocol/link";
import { Mishap, askedMsOf } from "./patience.ts";
import { OciError } from "./source.ts";

/** Without a byte. A whole answer has no limit: layers are large, and lines slow. */
export const SILENCE_MS_MAX = 30_000;
const REDIRECTS_MAX = 8;

export interface Question {
  headers: Readonly<Record<string, string>>;
  /** A form to be posted; null: it is a GET. */
  form?: URLSearchParams;
}

export interface Asker {
  timers: Timers;
  /** Whether it may be gone to: never from an encrypted place to one that is not. */
  mayGo(url: URL): boolean;
}

/** What a second try changes nothing about. */
const FINAL: ReadonlySet<string> = new Set(["ENOTFOUND", "EACCES", "EPERM", "ERR_INVALID_URL", "ERR_INVALID_CHAR"]);
const isFinal = (code: string): boolean =>
  FINAL.has(code) || /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|EPROTO)/.test(code);

const codeOf = (error: unknown): string => (error instanceof Error && "code" in error ? String(error.code) : "");
const textOf = (error: unknown): string =>
  error instanceof Error && error.message !== "" ? error.message : codeOf(error) || String(error);

/** Nobody listens there; whether that is final, only who has been there before can say. */
export class Unreachable extends Mishap {}

function failure(url: URL, error: unknown): Error {
  if (error instanceof Mishap || error instanceof OciError) return error;
  const code = codeOf(error);
  const why = `${url.host} cannot be reached (${textOf(error)})`;
  if (isFinal(code)) return new OciError(`${why}; check its name, and your connection`, { cause: error });
  return code === "ECONNREFUSED" ? new Unreachable(why) : new Mishap(why);
}

function once(url: URL, { headers, form }: Question, timers: Timers): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const body = form?.toString();
    const posted = body === undefined ? {} : { "content-type": "application/x-www-form-urlencoded", "content-length": String(body.length) };
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
      method: body === undefined ? "GET" : "POST",
      headers: { "user-agent": "xenoservers", "accept-encoding": "identity", ...headers, ...posted },
    });
    const heard = timers.after(SILENCE_MS_MAX, () => request.destroy(new Mishap(`${url.host} does not answer`)));
    request.once("response", (response) => {
      heard();
      resolve(response);
    });
    request.once("error", (error) => {
      heard();
      reject(failure(url, error));
    });
    request.end(body);
  });
}

/** What is passed to any place but the one that it was meant for. */
const withoutSecrets = (headers: Question["headers"]): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== "authorization"));

export interface Answer {
  response: IncomingMessage;
  /** The place that gave it, in the end. */
  at: URL;
}

/** Whatever is answered; its bytes are read by `chunksOf`. Throws Mishap or OciError. */
export async function ask(from: URL, question: Question, { timers, mayGo }: Asker): Promise<Answer> {
  let url = from;
  let asked = question;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const response = await once(url, asked, timers);
    const { statusCode = 0, headers } = response;
    if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) return { response, at: url };
    response.destroy();
    if (!URL.canParse(headers.location, url.href)) throw new OciError(`${url.host} leads to a place that is none`);
    const next = new URL(headers.location, url);
    if (!mayGo(next))
      throw new OciError(`${url.host} leads to ${next.host} without encryption, or by another protocol: that way is not gone`);
    // a form holds a password: it goes nowhere else
    if (asked.form && next.origin !== url.origin)
      throw new OciError(`${url.host} leads elsewhere to log in, to ${next.host}: that way is not gone`);
    if (next.origin !== url.origin) asked = { headers: withoutSecrets(asked.headers) };
    url = next;
  }
  throw new OciError(`${from.host} leads from one place to another without end`);
}

/** The bytes of an answer as they come. Throws Mishap where they stop. */
export async function* chunksOf(response: IncomingMessage, timers: Timers, host: string): AsyncGenerator<Buffer> {
  const chunks: AsyncIterator<Buffer> = response[Symbol.asyncIterator]();
  try {
    for (;;) {
      const came = timers.after(SILENCE_MS_MAX, () => response.destroy(new Mishap(`${host} sends nothing any more`)));
      let next: IteratorResult<Buffer>;
      try {
        next = await chunks.next();
      } catch (error) {
        throw error instanceof Mishap ? error : new Mishap(`${host} broke off (${textOf(error)})`);
      } finally {
        came();
      }
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    response.destroy();
  }
}

/** A whole answer; null where it is larger than that. */
export async function wholeOf(response: IncomingMessage, timers: Timers, host: string, bytesMax: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(response, timers, host)) {
    size += chunk.length;
    if (size > bytesMax) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const AGAIN: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Throws Mishap where the answer says that another try may go well. */
export function throwIfBusy(response: IncomingMessage, host: string, timers: Timers): void {
  const { statusCode = 0, headers } = response;
  if (!AGAIN.has(statusCode)) return;
  response.destroy();
  const says = statusCode === 429 ? "has had too many requests (429)" : `answers ${statusCode}`;
  throw new Mishap(`${host} ${says}`, askedMsOf(headers["retry-after"], timers.now()));
}
