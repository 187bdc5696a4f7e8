/**
 * One session with a pool, through whichever host is its master. A session that ran out is renewed, a master that moved is followed, and a
 * call that nobody answered is repeated only where doing it twice is doing it once. Who controls the inputs: the pool.
 */
import type { Duplex, Readable } from "node:stream";
import type { z } from "zod";
import type { PoolConnection } from "./pool-connection.ts";
import { zNothing } from "./xapi-records.ts";
import { Unanswered, Unreached, XapiError, isCode } from "./xapi-error.ts";

const API_VERSION = "2.0";
/** A pool whose master restarts is away for minutes. */
const TRIES_MAX = 120;
const RETRY_MS = 1_000;
/** Where the call was not done, by its codes. */
const MOVED = "HOST_IS_SLAVE";
const STALE = "SESSION_INVALID";
/** For a moment, while a host's PAM, or the directory behind it, begins anew; for good, where the password was changed. */
const REFUSED = "SESSION_AUTHENTICATION_FAILED";
/** Together eleven minutes, ever more rarely: whoever asks often has the account locked. */
const LOGINS_MAX = 15;
const LOGIN_MS_MAX = 60_000;
const NOT_YET = ["HOST_STILL_BOOTING", "INTERNAL_ERROR_MASTER_STARTING"];

interface PoolLogin {
  /** The host that the owner named. */
  host: string;
  user: string;
  /** Read anew for each log-in: an owner may change it. */
  password(): Promise<string>;
}

interface Session {
  address: string;
  ref: string;
}

/** Doing it twice is doing it once. */
const isRepeatable = (method: string): boolean => /\.(?:get$|get_|set_|remove_from_)/.test(method);

/** Or whoever waits has left: a pool that refuses log-ins is asked for many minutes. */
async function isIn(session: Promise<Session>, signal: AbortSignal): Promise<void> {
  const left = Promise.withResolvers<never>();
  const leave = (): void => left.reject(signal.reason);
  if (signal.aborted) leave();
  signal.addEventListener("abort", leave);
  try {
    await Promise.race([session, left.promise]);
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

interface SessionOptions {
  log?(what: string, facts: Record<string, unknown>): void;
  /** How often a pool is asked that does not answer. */
  triesMax?: number;
}

export class PoolSession {
  readonly #connection: PoolConnection;
  readonly #login: PoolLogin;
  readonly #wait: (ms: number) => Promise<void>;
  /** Where the master was last; the hosts of the pool follow. */
  #addresses: string[];
  #session: Promise<Session> | null = null;
  readonly #log: NonNullable<SessionOptions["log"]>;
  readonly #triesMax: number;
  readonly #closing = Promise.withResolvers<void>();
  /** Whether the pool has let this server in before: what it refuses then may be taken again. */
  #wasIn = false;
  #closed = false;

  constructor(connection: PoolConnection, login: PoolLogin, wait: (ms: number) => Promise<void>, options: SessionOptions = {}) {
    const { log = () => {}, triesMax = TRIES_MAX } = options;
    this.#connection = connection;
    this.#log = log;
    this.#triesMax = triesMax;
    this.#login = login;
    this.#wait = wait;
    this.#addresses = [login.host];
  }

  /** Hosts that may be the master when the one that is has gone. */
  knows(addresses: readonly string[]): void {
    const [master = this.#login.host] = this.#addresses;
    this.#addresses = [...new Set([master, this.#login.host, ...addresses])];
  }

  #forget(session: Promise<Session>): void {
    if (this.#session === session) this.#session = null;
  }

  /** The next host is asked first. */
  #turn(): void {
    const [first, ...others] = this.#addresses;
    if (first !== undefined) this.#addresses = [...others, first];
  }

  /** One for all who call: a pool that refuses is asked by one of them, and the others wait. */
  async #open(): Promise<Session> {
    for (let tries = 0; ; tries++)
      try {
        const session = await this.#logIn();
        if (tries > 0) this.#log("the pool lets this server in again", {});
        this.#wasIn = true;
        return session;
      } catch (error) {
        if (!this.#wasIn || this.#closed || !isCode(error, REFUSED)) throw error;
        if (tries === 0) this.#log("the pool has refused a log-in: it is asked again", { why: (error as Error).message });
        if (tries >= LOGINS_MAX) {
          this.#log("the pool refuses every log-in: leases cannot be followed until xapi.user and xapi.password_file are right", {});
          throw error;
        }
        await Promise.race([this.#wait(Math.min(RETRY_MS * 2 ** tries, LOGIN_MS_MAX)), this.#closing.promise]);
        if (this.#closed) throw error;
      }
  }

  async #logIn(): Promise<Session> {
    const { user, password } = this.#login;
    const [address = this.#login.host] = this.#addresses;
    const ref = await this.#connection.rpc(address, "session.login_with_password", [user, await password(), API_VERSION, "xenoserver"]);
    if (typeof ref !== "string") throw new Unanswered("session.login_with_password");
    return { address, ref };
  }

  /** What a host that is the master no more says of who is: asked first from here on. */
  #follow(error: unknown): boolean {
    if (!(error instanceof XapiError) || error.code !== MOVED) return false;
    const [master] = error.facts;
    if (master !== undefined) this.#addresses = [...new Set([master, ...this.#addresses])];
    return true;
  }

  /** Whether the call may be made again, after what was thrown; what it means for where it is made is done. */
  async #mayRepeat(error: unknown, session: Promise<Session>, method: string): Promise<boolean> {
    if (this.#follow(error) || isCode(error, STALE)) {
      this.#forget(session);
      return true;
    }
    const isLost =
      error instanceof Unreached || (error instanceof Unanswered && (isRepeatable(method) || error.method.startsWith("session.")));
    if (!isLost && !isCode(error, ...NOT_YET)) {
      if (isCode(error, REFUSED)) this.#forget(session); // the next who calls asks again
      return false;
    }
    this.#forget(session);
    if (isLost) this.#turn();
    await this.#wait(RETRY_MS);
    return true;
  }

  /** Throws XapiError with the pool's refusal, Unanswered where it may have been done. */
  async call<S extends z.ZodType>(schema: S, method: string, ...params: readonly unknown[]): Promise<z.output<S>> {
    let last: unknown = new Unreached("the connection to the pool is closed");
    for (let tries = 0; tries < this.#triesMax && !this.#closed; tries++) {
      const session = (this.#session ??= this.#open());
      try {
        return await this.#ask(session, schema, method, params);
      } catch (error) {
        last = error;
        if (!(await this.#mayRepeat(error, session, method))) throw error;
      }
    }
    throw last;
  }

  /** Once, by the session that there is, until `signal`: whoever asks begins anew where it fails, at whichever host may be the master. */
  async callOnce<S extends z.ZodType>(signal: AbortSignal, schema: S, method: string, ...params: unknown[]): Promise<z.output<S>> {
    const session = (this.#session ??= this.#open());
    try {
      await isIn(session, signal);
      return await this.#ask(session, schema, method, params, signal);
    } catch (error) {
      // whoever leaves has the session to log out of: pools bear no more than some hundreds of them
      if (signal.aborted) throw error;
      // several may have failed by one session: the hosts are turned once for it
      if (!this.#follow(error) && error instanceof Unreached && this.#session === session) this.#turn();
      this.#forget(session);
      throw error;
    }
  }

  async #ask<S extends z.ZodType>(
    session: Promise<Session>,
    schema: S,
    method: string,
    params: readonly unknown[],
    signal?: AbortSignal,
  ): Promise<z.output<S>> {
    const { address, ref } = await session;
    return schema.parse(await this.#connection.rpc(address, method, [ref, ...params], signal));
  }

  /** `path` asks for it by its own words; the session is added here. */
  async #pathOf(path: string): Promise<{ address: string; path: string }> {
    // one that ran out shows in a call, and in nothing that comes back of a disk or a console
    await this.call(zNothing, "pool.get_all");
    const { address, ref } = await (this.#session ??= this.#open());
    return { address, path: `${path}&session_id=${encodeURIComponent(ref)}` };
  }

  async put(path: string, bytes: number, open: () => Readable, signal?: AbortSignal): Promise<void> {
    const at = await this.#pathOf(path);
    await this.#connection.put(at.address, at.path, bytes, open, signal);
  }

  async get(path: string, signal?: AbortSignal): Promise<Readable> {
    const at = await this.#pathOf(path);
    return this.#connection.get(at.address, at.path, signal);
  }

  /** On the host that runs the machine. */
  async tunnel(address: string, path: string): Promise<Duplex> {
    return this.#connection.tunnel(address, (await this.#pathOf(path)).path);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#closing.resolve();
    const session = await this.#session?.catch(() => null);
    if (session) await this.#connection.rpc(session.address, "session.logout", [session.ref]).catch(() => {}); // it runs out by itself
  }
}
