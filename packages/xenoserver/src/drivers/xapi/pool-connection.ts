/**
 * HTTPS to the hosts of a pool: XAPI's JSON-RPC, disks by PUT and GET, consoles by CONNECT. A host is known by its certificate's
 * fingerprint, which its owner wrote down, and nothing is sent before it was compared: pools sign their own certificates. Who controls the
 * inputs: the pool's hosts (answers, redirects), and by consoles and disks the guest.
 */
import type { IncomingMessage } from "node:http";
import { Agent, request, type RequestOptions } from "node:https";
import { pipeline } from "node:stream/promises";
import type { Duplex, Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "node:tls";
import { Unanswered, Unreached, XapiError } from "./xapi-error.ts";
import { zReply } from "./xapi-records.ts";

/** Of one answer: all objects of a large pool. */
const ANSWER_BYTES_MAX = 128 * 1024 * 1024;
const REDIRECTS_MAX = 3;
/** Calls that take longer are tasks, and events wait for less. */
const IDLE_MS = 120_000;
/** A connection is closed from here before the pool closes it: what is sent into a closing one may have been done or not. */
const UNUSED_MS = 1_000;
/** A host that is out of memory takes connections, and says nothing on them. */
const HANDSHAKE_MS = 20_000;

/** As openssl prints it, colons and case aside. */
const plainFingerprint = (text: string): string => text.replaceAll(":", "").toLowerCase();

class PinnedAgent extends Agent {
  readonly #pins: ReadonlySet<string>;
  readonly #handshakeMs: number;

  constructor(pins: ReadonlySet<string>, handshakeMs: number) {
    super({ keepAlive: true, maxFreeSockets: 2, timeout: UNUSED_MS, maxCachedSessions: 0 });
    this.#pins = pins;
    this.#handshakeMs = handshakeMs;
  }

  override createConnection(options: RequestOptions, done?: (error: Error | null, stream: Duplex) => void): null {
    const { host, port } = options;
    const socket = connect({ host: host ?? "", port: Number(port), rejectUnauthorized: false });
    const failed = (error: Error): void => done?.(new Unreached(`the pool's host ${host} is not reached`, { cause: error }), socket);
    const late = setTimeout(() => socket.destroy(new Error("it says nothing")), this.#handshakeMs);
    socket.once("close", () => clearTimeout(late));
    socket.once("error", failed).once("secureConnect", () => {
      clearTimeout(late);
      socket.off("error", failed);
      const found = socket.getPeerCertificate().fingerprint256 ?? "";
      if (this.#pins.has(plainFingerprint(found))) return done?.(null, socket);
      socket.destroy();
      done?.(new Unreached(`${host} shows a certificate that is not in xapi.fingerprints: ${found || "none"}`), socket);
    });
    return null;
  }
}

const MOMENT_MS = 50;
const MOMENTS_MAX = 64;
const HUNG_UP: ReadonlySet<string> = new Set(["EPIPE", "ECONNRESET"]);

/** Whether the other side ended the connection in the midst of it. */
const hasHungUp = (error: unknown): boolean => HUNG_UP.has(String((error as NodeJS.ErrnoException).code));

interface Place {
  address: string;
  path: string;
}

interface Asked extends Place {
  method: "POST" | "PUT" | "GET" | "CONNECT";
  headers?: Record<string, string | number>;
  signal?: AbortSignal | undefined;
}

const bare = (address: string): string => address.replace(/^\[|\]$/g, "");

export class PoolConnection {
  readonly #agent: PinnedAgent;
  /** One port for all hosts of a pool. */
  readonly #port: number;

  constructor(port: number, fingerprints: readonly string[], handshakeMs = HANDSHAKE_MS) {
    this.#agent = new PinnedAgent(new Set(fingerprints.map(plainFingerprint)), handshakeMs);
    this.#port = port;
  }

  #ask({ method, address, path, headers = {}, signal }: Asked) {
    const asked = request({
      ...{ method, host: bare(address), port: this.#port, path, headers, agent: this.#agent, timeout: IDLE_MS },
      ...(signal ? { signal } : {}),
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer in time")));
    return asked;
  }

  /** Throws XapiError, Unreached where it was not sent, Unanswered where it may have been done. */
  async rpc(address: string, method: string, params: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const headers = { "content-type": "application/json", accept: "application/json", "content-length": Buffer.byteLength(body) };
    const asked = this.#ask({ method: "POST", address, path: "/jsonrpc", headers, signal });
    const answer = new Promise<IncomingMessage>((resolve, reject) => asked.once("response", resolve).once("error", reject));
    asked.end(body);
    let text: string;
    try {
      text = await textOf(await answer);
    } catch (cause) {
      throw cause instanceof Unreached ? cause : new Unanswered(method, { cause });
    }
    const reply = replyIn(text);
    if (reply === null) throw new Unanswered(method);
    if (reply.error) throw new XapiError(method, reply.error.message, reply.error.data);
    return reply.result;
  }

  /**
   * Sends a disk's bytes. A host without access to it redirects before it reads, and hangs up; one with access says 200 before it reads,
   * and what came of it in a task alone. So the bytes follow a moment after the head, and where one hung up in the midst of them, the next
   * time after a longer one.
   */
  async put(address: string, path: string, bytes: number, open: () => Readable, signal?: AbortSignal): Promise<void> {
    let at = { address, path };
    for (let [redirects, moments] = [0, 1]; redirects <= REDIRECTS_MAX;)
      try {
        const next = await this.#putOnce(at, bytes, open, moments * MOMENT_MS, signal);
        if (next === null) return;
        at = next;
        redirects++;
      } catch (error) {
        if (!hasHungUp(error) || moments >= MOMENTS_MAX || signal?.aborted === true) throw error;
        moments *= 4;
      }
    throw new Error("the pool redirects without end");
  }

  async #putOnce(at: Place, bytes: number, open: () => Readable, waitMs: number, signal?: AbortSignal): Promise<Place | null> {
    const asked = this.#ask({ ...at, method: "PUT", headers: { "content-length": bytes, connection: "close" }, signal });
    const answered = new Promise<IncomingMessage>((resolve, reject) => asked.once("response", resolve).once("error", reject));
    answered.catch(() => {}); // whoever waits for it below hears of it
    asked.flushHeaders();
    const early = await Promise.race([answered, pause(waitMs, null)]);
    const isRead = early === null || early.statusCode === 200;
    const sent = isRead ? pipeline(open(), asked).catch(() => {}) : null;
    const response = await answered;
    response.resume().on("error", () => {}); // it ends as the connection does: the task says what came of it
    if (response.statusCode !== 200) {
      asked.destroy();
      const next = redirectOf(response);
      if (next === null) throw new Error(`a disk was refused: ${response.statusCode}`);
      return next;
    }
    await sent; // where it broke off in the midst, the task says so
    return null;
  }

  async get(address: string, path: string, signal?: AbortSignal): Promise<Readable> {
    for (let tries = 0, at = { address, path }; tries <= REDIRECTS_MAX; tries++) {
      const asked = this.#ask({ ...at, method: "GET", headers: { connection: "close" }, signal });
      const response = await new Promise<IncomingMessage>((resolve, reject) => asked.once("response", resolve).once("error", reject).end());
      const next = redirectOf(response);
      if (next === null && response.statusCode === 200) return response;
      response.destroy();
      if (next === null) throw new Error(`a disk was not given: ${response.statusCode}`);
      at = next;
    }
    throw new Error("the pool redirects without end");
  }

  /** As VNC viewers of XenServer open consoles: what follows the answer is the console's own bytes. */
  tunnel(address: string, path: string): Promise<Duplex> {
    const asked = this.#ask({ method: "CONNECT", address, path });
    return new Promise((resolve, reject) => {
      asked
        .once("connect", ({ statusCode }: IncomingMessage, socket: Duplex, head: Buffer) => {
          if (statusCode !== 200) {
            socket.destroy();
            return reject(new Error(`the console was refused: ${statusCode}`));
          }
          if (head.length > 0) socket.unshift(head);
          asked.setTimeout(0);
          resolve(socket);
        })
        .once("error", reject)
        .end();
    });
  }
}

function redirectOf({ statusCode = 0, headers: { location } }: IncomingMessage): Place | null {
  if (statusCode < 300 || statusCode >= 400 || location === undefined || !URL.canParse(location)) return null;
  const { hostname, pathname, search } = new URL(location);
  return { address: hostname, path: `${pathname}${search}` };
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error("an answer of the pool is larger than any is");
    chunks.push(chunk);
  }
  if (response.statusCode !== 200) throw new Error(`the pool answers ${response.statusCode}`);
  return Buffer.concat(chunks).toString();
}

function replyIn(text: string): ReturnType<typeof zReply.parse> | null {
  try {
    return zReply.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
