/**
 * One question to a broker over Node's own HTTP: what `fetch` needs is loaded for its first question (35 ms of a processor), and a
 * command of the market asks two. Who controls the inputs: whoever answers at the address, and how long that is. Bound: bytes of an answer.
 */
import type { IncomingMessage, RequestOptions } from "node:http";
import type { Answer, Question } from "./system.ts";

const [REDIRECT_MIN, REDIRECT_MAX] = [300, 399];
const [OK_MIN, OK_MAX] = [200, 299];
/** Of a whole receipt, as older brokers give it. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;
const within = (status: number, min: number, max: number): boolean => status >= min && status <= max;

/** An `import` of it makes a name of everything in it, and so loads what `fetch` is made of. */
async function moduleFor(url: URL): Promise<Pick<typeof import("node:http"), "request">> {
  const name = url.protocol === "https:" ? "node:https" : "node:http";
  // Node has it since 22.3
  return process.getBuiltinModule?.(name) ?? (name === "node:https" ? import("node:https") : import("node:http"));
}

/** Node's own error for what was ended says nothing of why. */
const reasonOf = (error: unknown, signal: AbortSignal | undefined): unknown => (signal?.aborted ? signal.reason : error);

async function headOf(url: URL, { body, ...options }: Question): Promise<IncomingMessage> {
  const { request } = await moduleFor(url);
  const length = body === undefined || body === null ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const asked: RequestOptions = { ...options, headers: { ...options.headers, ...length } };
  return new Promise((resolve, reject) => {
    request(url, asked, resolve)
      .once("error", (error) => reject(reasonOf(error, options.signal)))
      .end(body ?? undefined);
  });
}

const tooLong = (): Error => new Error("the answer is longer than any is");

async function bytesOf(head: IncomingMessage, signal: AbortSignal | undefined): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    head.on("data", (part: Buffer) => {
      parts.push(part);
      length += part.length;
      if (length > ANSWER_BYTES_MAX) head.destroy(tooLong());
    });
    head.once("end", () => resolve(Buffer.concat(parts)));
    head.once("error", (error) => reject(reasonOf(error, signal)));
  });
}

/** The same of what `fetch` was answered. */
async function bytesIn({ body }: Response): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body ?? []) {
    parts.push(part);
    length += part.length;
    if (length > ANSWER_BYTES_MAX) throw tooLong();
  }
  return Buffer.concat(parts);
}

function answerOf(status: number, bytes: () => Promise<Buffer>): Answer {
  const text = async (): Promise<string> => new TextDecoder().decode(await bytes());
  return {
    ...{ ok: within(status, OK_MIN, OK_MAX), status, text },
    json: async () => JSON.parse(await text()) as unknown,
    arrayBuffer: async () => new Uint8Array(await bytes()).buffer,
  };
}

/** Who is led elsewhere asks by `fetch`, which knows what may be shown there. */
export async function nodeAsk(url: URL, question: Question = {}): Promise<Answer> {
  question.signal?.throwIfAborted();
  const head = await headOf(url, question);
  const status = head.statusCode ?? 0;
  if (!within(status, REDIRECT_MIN, REDIRECT_MAX) || head.headers.location === undefined) {
    const bytes = bytesOf(head, question.signal);
    // whoever reads it is told; an answer that nobody reads is nobody's error
    bytes.catch(() => {});
    return answerOf(status, () => bytes);
  }
  head.destroy();
  const led = await fetch(url, question);
  return answerOf(led.status, () => bytesIn(led));
}
