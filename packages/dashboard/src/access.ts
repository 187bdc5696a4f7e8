/**
 * The market as one key sees it: the SDK's market, and what of the page lives as long as the key is used. Who controls the inputs: whoever
 * uses the page (the key), the broker (every answer, which the client checks against the pinned keys).
 */
import type { Scope } from "@xenoservers/market";
import { fromHex, type MarketPins } from "@xenoservers/protocol";
import { Market, MarketClient, RefusedError, identityOf, openLink, parseCiToken, type PreparedRun, type RunInput } from "@xenoservers/sdk";
import { Followed } from "./followed.ts";
import { FollowedLeases } from "./followed-leases.ts";
import type { Kept } from "./key-store.ts";
import { News } from "./news.ts";
import type { NamedRun } from "./program.ts";
import { Several, type Begun } from "./several.ts";

const bytesOf = (seed: string): Uint8Array => fromHex(seed) ?? new Uint8Array(32);

interface About {
  kind: Kept["kind"];
  /** What a token was made for, as its owner called it. */
  label: string | null;
  /** When a token ends; null: it does not. */
  expiresAt: number | null;
}

/** `url`: of the broker whose page this is, whatever address a token names. */
function clientOf(kept: Kept, url: string): { client: MarketClient; about: About } {
  if (kept.kind === "own") {
    const client = new MarketClient(url, kept.pins, identityOf(bytesOf(kept.seed)));
    return { client, about: { kind: kept.kind, label: null, expiresAt: null } };
  }
  const { pins, seed, key } = parseCiToken(kept.token);
  const { account, label, expiresAt, ...bounds } = key;
  const identity = identityOf(bytesOf(seed), { ...bounds, ...(account === null ? {} : { account }) });
  return { client: new MarketClient(url, pins, identity), about: { kind: kept.kind, label, expiresAt } };
}

interface OrderOptions {
  market?: Market;
  signal?: AbortSignal;
}

export class Access {
  readonly market: Market;
  readonly client: MarketClient;
  readonly about: About;
  readonly kept: Kept;
  /** Runs for several files that were begun last. */
  several: Several | null = null;
  /** Told of everything that happens to the party's leases. */
  readonly news = new News();
  readonly #followed: FollowedLeases;
  readonly #link: { stop(): void };
  readonly #closing: (() => void)[] = [];
  /** A job that its server has not all of can be sent from here alone. */
  readonly #leaving = (event: Event): void => {
    if (this.#followed.isSending || this.several?.isOver === false) event.preventDefault();
  };

  /** Throws InputError. */
  constructor(kept: Kept, url: string) {
    const { client, about } = clientOf(kept, url);
    [this.client, this.about, this.market, this.kept] = [client, about, Market.of(client), kept];
    this.#followed = new FollowedLeases(this.market);
    addEventListener("beforeunload", this.#leaving);
    this.#link = openLink(client, { onUp: () => this.news.tell(), onEvent: () => this.news.tell() });
  }

  get party(): string {
    return this.client.identity.party;
  }

  get pins(): MarketPins {
    return this.client.pins;
  }

  may(scope: Scope): boolean {
    return this.client.identity.scopes.includes(scope);
  }

  /** A new party of the market; the same key again is the same party. */
  async register(name: string): Promise<void> {
    const { party, signer } = this.client.identity;
    try {
      await this.client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
    } catch (error) {
      if (!(error instanceof RefusedError) || error.code !== "id_reused") throw error;
    }
  }

  /** A run for each file, in place of those before. */
  begin(runs: readonly NamedRun[]): Several {
    this.several = new Several(runs, { begin: (input, signal) => this.#begun(input, signal), stop: (lease) => this.market.stop(lease) });
    return this.several;
  }

  /** They are over, and nobody looks at them any more. */
  cleared(): null {
    return (this.several = null);
  }

  async #begun(input: RunInput, signal: AbortSignal): Promise<Begun> {
    const run = await this.market.prepare({ ...input, signal });
    // a signal ends what runs, too, which is stopped and has a result: it holds until there is a lease
    const off = new AbortController();
    const callOff = (): void => off.abort(signal.reason);
    signal.addEventListener("abort", callOff);
    const lease = await this.order(run, { signal: off.signal }).finally(() => signal.removeEventListener("abort", callOff));
    const job = await this.follow(lease).job;
    return { lease, result: job.result.finally(() => this.unfollow(lease)) };
  }

  /** Orders what was quoted, and goes on with it: its job is sent from here. Gives the lease. `market`: that has quoted it. */
  async order(run: PreparedRun, { market = this.market, signal }: OrderOptions = {}): Promise<string> {
    const followed = new Followed((watching) => run.run(signal ? { ...watching, signal } : watching), true);
    const { lease } = await followed.job;
    this.#followed.ordered(lease, followed, market);
    return lease;
  }

  /** A lease's output from its beginning, also where another visit ordered it with this key. */
  follow(lease: string): Followed {
    return this.#followed.follow(lease);
  }

  /** Nobody looks at it any more. */
  unfollow(lease: string): void {
    this.#followed.unfollow(lease);
  }

  /** What else is let go of with the key. */
  whenClosed(close: () => void): void {
    this.#closing.push(close);
  }

  close(): void {
    for (const close of this.#closing) close();
    removeEventListener("beforeunload", this.#leaving);
    this.several?.letGo();
    this.#link.stop();
    this.market.close();
  }
}
