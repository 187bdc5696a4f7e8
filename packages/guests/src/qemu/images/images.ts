/**
 * Images kept on the server by digest, so that nobody sends or fetches one twice: each customer's own, and those that were fetched from
 * public addresses, which are anybody's. An address that a customer names must not become a way into the owner's network: only public
 * addresses, pinned after the name was resolved, for every redirect anew (OWASP, Server-Side Request Forgery). Who controls the inputs:
 * the customer (address, digest), the other server (redirects, bytes).
 */
import { lookup } from "node:dns/promises";
import { access, chmod, copyFile, link, mkdir, rename, rm } from "node:fs/promises";
import { get as httpGet, type IncomingMessage } from "node:http";
import { get as httpsGet } from "node:https";
import type { LookupFunction, Socket } from "node:net";
import path from "node:path";
import { addAbortSignal } from "node:stream";
import { setTimeout } from "node:timers/promises";
import { Passing, downloadTo, isOwnDisk } from "./address-download.ts";
import { SHARE, SPARE_MS, UNFINISHED, customerFolder, prune, touch } from "./cache.ts";
import { Refusal } from "../refusal.ts";
import type { AddressRule } from "../network/addresses.ts";

const REDIRECTS_MAX = 5;
const IDLE_MS = 30_000;
const PORTS: Readonly<Record<string, number>> = { "http:": 80, "https:": 443 };
const PUBLIC = "public";

interface ImageStoreOptions {
  folder: string;
  /** All kept images together; the least used go first. Half of it at most for one customer, and for what was fetched. */
  bytesMax: number;
  /** Null: nothing is fetched from here. */
  isPublic: AddressRule | null;
  resolve?(name: string): Promise<string[]>;
  /** For tests: connections to public addresses. */
  dial?(address: string): Socket;
  /** For tests: ms of a clock that is never set. */
  now?(): number;
  /** For tests: between two tries. */
  wait?(ms: number, signal: AbortSignal): Promise<void>;
}

interface Asks {
  isPublic: AddressRule;
  signal: AbortSignal;
  headers: Readonly<Record<string, string>>;
}

const waited = (ms: number, signal: AbortSignal): Promise<void> => setTimeout(ms, undefined, { signal });

/** How long somebody waits for an image. */
interface Patience {
  /** Aborted where nobody wants it any more. */
  signal?: AbortSignal | undefined;
  /** Absent: as long as it comes. */
  msMax?: number | undefined;
}

const tooLate = (): Refusal => new Refusal("fetch", "the image at that address did not come in the time that there is for it");

interface Wanted {
  url: string;
  digest: string;
  bytesMax: number;
}

/** Whoever waits for an image that comes from an address. */
interface Fetching {
  file: Promise<string>;
  stop: AbortController;
  waiting: number;
}

/** What another try may change. */
const AGAIN: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

export class ImageStore {
  readonly #options: ImageStoreOptions;
  readonly #fetching = new Map<string, Fetching>();

  constructor(options: ImageStoreOptions) {
    this.#options = options;
  }

  #file(owner: string, digest: string): string {
    return path.join(this.#options.folder, owner, digest);
  }

  /** The image, if this customer has sent it before or it was fetched from a public address. */
  async find(customer: string, digest: string): Promise<string | null> {
    for (const owner of [customerFolder(customer), PUBLIC]) {
      const file = this.#file(owner, digest);
      const there = await access(file).then(
        () => true,
        () => false,
      );
      if (!there) continue;
      await touch(file);
      return file;
    }
    return null;
  }

  /** Keeps what a customer has sent; its digest was checked. */
  async keep(customer: string, digest: string, file: string): Promise<void> {
    const owner = customerFolder(customer);
    await mkdir(path.join(this.#options.folder, owner), { recursive: true, mode: 0o700 });
    await chmod(file, 0o444);
    await link(file, this.#file(owner, digest)).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") await copyFile(file, this.#file(owner, digest));
    });
    await this.#prune(owner);
  }

  /** Keeps nothing of what this customer has sent; machines hold names of their own. */
  async forget(customer: string, digest: string): Promise<void> {
    await rm(this.#file(customerFolder(customer), digest), { force: true });
  }

  /** A customer's share first, and that of all that was fetched: whoever fills one loses his own. */
  async #prune(owner: string, spareMs = 0): Promise<void> {
    const { folder, bytesMax } = this.#options;
    await prune(path.join(folder, owner), bytesMax * SHARE, SPARE_MS);
    await prune(folder, bytesMax, spareMs);
  }

  /** Lets go of all that was not used just now. */
  makeRoom(): Promise<void> {
    return prune(this.#options.folder, 0, SPARE_MS);
  }

  /**
   * Fetched once, whoever asks for the same meanwhile, and for as long as somebody waits. The same is digest, address and bound: what one
   * customer's address gives, and the disk that he ordered, are no reason to refuse another. Throws Refusal in words for the customer.
   */
  async fetch(url: string, digest: string, bytesMax: number, { signal, msMax }: Patience = {}): Promise<string> {
    const what = JSON.stringify([digest, bytesMax, url]);
    const under = this.#fetching.get(what) ?? this.#begin(what, { url, digest, bytesMax });
    under.waiting++;
    const late = Promise.withResolvers<never>();
    const timer = msMax === undefined ? null : globalThis.setTimeout(() => late.reject(tooLate()), msMax);
    const left = new Promise<never>((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason), { once: true }));
    try {
      signal?.throwIfAborted();
      return await Promise.race([under.file, left, late.promise]);
    } finally {
      if (timer) clearTimeout(timer);
      if (--under.waiting === 0) {
        under.stop.abort();
        if (this.#fetching.get(what) === under) this.#fetching.delete(what);
      }
    }
  }

  #begin(what: string, wanted: Wanted): Fetching {
    const stop = new AbortController();
    const file = this.#fetch(wanted, stop.signal);
    file.catch(() => {}); // waited for by whoever is left
    const under = { file, stop, waiting: 0 };
    this.#fetching.set(what, under);
    return under;
  }

  async #fetch({ url, digest, bytesMax }: Wanted, stop: AbortSignal): Promise<string> {
    const { folder, isPublic } = this.#options;
    // its offer said that it fetches, so this is no fault of the order's
    if (!isPublic) throw new Error("this server's owner does not let it fetch images any more");
    await mkdir(path.join(folder, PUBLIC), { recursive: true, mode: 0o700 });
    const part = path.join(folder, PUBLIC, `${digest}.${process.hrtime.bigint()}${UNFINISHED}`);
    try {
      const found = await downloadTo(part, {
        ask: async (from) => {
          const headers = { "accept-encoding": "identity", ...(from === 0 ? {} : { range: `bytes=${from}-` }) };
          return addAbortSignal(stop, await this.#open(new URL(url), { isPublic, signal: stop, headers }, 0));
        },
        wait: (ms) => (this.#options.wait ?? waited)(ms, stop),
        now: this.#options.now ?? (() => performance.now()),
        bytesMax,
      });
      if (found !== digest) throw new Refusal("bytes", "what lies at that address does not have the digest that was ordered");
      await chmod(part, 0o444);
      await rename(part, this.#file(PUBLIC, digest));
      await this.#prune(PUBLIC, SPARE_MS); // whoever fetched it has not taken it yet
      return this.#file(PUBLIC, digest);
    } catch (cause) {
      await rm(part, { force: true });
      if (cause instanceof Refusal || isOwnDisk(cause)) throw cause;
      throw new Refusal("fetch", `the image could not be fetched: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }
  }

  async #open(url: URL, asks: Asks, redirects: number): Promise<IncomingMessage> {
    const { isPublic, signal, headers } = asks;
    const usual = PORTS[url.protocol];
    if (usual === undefined || (url.port !== "" && Number(url.port) !== usual) || url.username !== "" || url.password !== "")
      throw new Refusal("job", "images are fetched by http or https from their usual ports, without a password");
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const found = await (
      this.#options.resolve?.(host) ?? lookup(host, { all: true }).then((all) => all.map(({ address }) => address))
    ).catch(() => []);
    const address = found[0];
    if (address === undefined) throw new Refusal("fetch", `the name ${host} is not known`);
    // all of them: a name that also leads inside is no public name
    if (!found.every(isPublic)) throw new Refusal("bytes", `${host} is not a public address`);
    const get = url.protocol === "https:" ? httpsGet : httpGet;
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const family = address.includes(":") ? 6 : 4;
      const pinned: LookupFunction = (_, options, done) => (options.all ? done(null, [{ address, family }]) : done(null, address, family));
      const { dial } = this.#options;
      const through = dial ? { createConnection: () => dial(address) } : { agent: false as const };
      const request = get(url, { lookup: pinned, timeout: IDLE_MS, signal, headers, ...through }, resolve);
      request.once("timeout", () => request.destroy(new Error("no answer in time"))).once("error", reject);
    });
    const status = response.statusCode ?? 0;
    if (status >= 300 && status < 400 && response.headers.location !== undefined) {
      response.destroy();
      if (redirects >= REDIRECTS_MAX) throw new Refusal("fetch", "the address leads from one to another without end");
      return this.#open(new URL(response.headers.location, url), asks, redirects + 1);
    }
    if (status !== 200 && status !== 206) {
      response.destroy();
      const [why, retryAfter] = [`the address answers ${status}`, response.headers["retry-after"]];
      if (AGAIN.has(status)) throw new Passing(why, { retryAfter });
      if (status === 416 && headers["range"] !== undefined) throw new Passing(why, { anew: true });
      throw new Refusal("fetch", `the address answers ${status}`);
    }
    return response;
  }
}
