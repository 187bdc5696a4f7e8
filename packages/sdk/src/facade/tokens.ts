/**
 * Keys that speak for a party within bounds, as strings to hand on: each is a secret that a program is given in place of its owner's own
 * key. Who controls the inputs: the program that calls; the broker (which keys stand).
 */
import { ROLE_SCOPES, SCOPES, type Scope } from "@xenoservers/market";
import { formatEnrolToken, toHex, type RouteReply } from "@xenoservers/protocol";
import { accountOf } from "../account.ts";
import { formatCiToken, type CiToken } from "../ci-token.ts";
import { InputError } from "../errors.ts";
import { identityOf } from "../identity.ts";
import { parseAmount, parseDurationMs, shortId } from "../words.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import type { Means } from "./means.ts";
import { toldHere } from "./read-input.ts";

/** A key of the party, as the market has it. */
export type KeyView = RouteReply<"whoami">["keys"][number];

/** What a token is for, and its bounds. */
export interface TokenOptions {
  /** What it may do; absent: spend, control, read. */
  scopes?: readonly Scope[];
  /** What it is for. */
  label?: string;
  /** The only account that it acts in, by id or name. */
  account?: string;
  /** The only label of leases that it acts on. */
  leaseLabel?: string;
  /** The most that it may spend per day: "2.50", or nanos. For tokens that may spend, which have to have it. */
  maxPerDay?: string | bigint;
  /** It ends after so long: "30d", or milliseconds; absent: when it is revoked. */
  expires?: string | number;
  signal?: AbortSignal;
}

/** A token, and the key that it is: what names it in lists, and when it is revoked. */
export interface Token {
  /** The secret. */
  token: string;
  key: string;
  party: string;
  role: CiToken["key"]["role"];
  label: string;
  scopes: readonly Scope[];
  account: string | null;
  leaseLabel: string | null;
  maxPerDayNanos: bigint | null;
  expiresAt: number | null;
}

type Labelled = Pick<TokenOptions, "label" | "expires" | "signal">;

/** Runs jobs and sees what becomes of them; doubts, which cost deposits, are for people. */
const USUAL: readonly Scope[] = ["spend", "control", "read"];

/** All that a token may be granted. */
export const TOKEN_SCOPES: readonly Scope[] = SCOPES.filter((scope) => ROLE_SCOPES.ci.includes(scope));

/** What a token may do, with a bound where it may spend. Throws InputError. */
export function tokenScopes(asked: readonly Scope[] | null, hasMost: boolean): Scope[] {
  const wanted = asked ?? USUAL;
  const above = wanted.filter((scope) => !TOKEN_SCOPES.includes(scope));
  if (above.length > 0 || wanted.length === 0)
    throw new InputError(
      `a token cannot ${above.join(", ") || "do nothing"}: that is the root key's or a machine's; it may be granted ` +
        TOKEN_SCOPES.join(", "),
    );
  if (wanted.includes("spend") && !hasMost) throw new InputError("say how much it may spend per day: --max-per-day 2.50");
  if (!wanted.includes("spend") && hasMost) throw new InputError("--max-per-day is for tokens that may spend");
  return [...wanted];
}

/** By the first letters of its id, or by its label. Throws InputError. */
export function keyCalled(keys: readonly KeyView[], wanted: string): KeyView {
  const standing = keys.filter(({ revokedAt }) => revokedAt === null);
  const byId = standing.filter(({ key }) => key.startsWith(wanted));
  const [found, ...others] = byId.length > 0 ? byId : standing.filter(({ label }) => label === wanted);
  if (!found || wanted === "") throw new InputError(`no key that stands starts with '${wanted}' or is called so; see \`xeno key list\``);
  if (others.length > 0)
    throw new InputError(
      `'${wanted}' is more than one key (${[found, ...others].map(({ key }) => shortId(key)).join(", ")}); write more of its id`,
    );
  return found;
}

const DELEGATED: readonly KeyView["role"][] = ["ci", "device", "enrol"];

const SEED_BYTES = 32;

/** The tokens of a market's party: `market.tokens`. */
export class Tokens {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** A token of so little as its program needs: `XENO_TOKEN` of another program, or `Market.connect({ token })`. */
  async create(options: TokenOptions = {}): Promise<Token> {
    const { label = "token", leaseLabel = null, signal } = options;
    const most = typeof options.maxPerDay === "string" ? parseAmount(options.maxPerDay, "maxPerDay") : (options.maxPerDay ?? null);
    const account = options.account ?? null;
    const { client } = this.#may(signal);
    const bounds = {
      ...{ role: "ci" as const, label, leaseLabel },
      scopes: scopesFor(options.scopes ?? null, most !== null),
      account: account === null ? null : await unlessOff(signal, accountOf(client, account, signal)),
    };
    return this.#granted({ ...bounds, expiresAt: await this.#endOf(options) }, most, signal);
  }

  /** A key for another device of its owner, which speaks for the party in everything but its keys and its money out. */
  async forDevice({ label = "device", ...options }: Labelled = {}): Promise<Token> {
    this.#may(options.signal);
    const bounds = { role: "device" as const, label, leaseLabel: null, scopes: [...ROLE_SCOPES.device], account: null };
    return this.#granted({ ...bounds, expiresAt: await this.#endOf(options) }, null, options.signal);
  }

  /** A token that enrols one machine as a xenoserver and does nothing else: for `xeno serve --enrol`. */
  async forServer({ label = "token", ...options }: Labelled = {}): Promise<Pick<Token, "token" | "key">> {
    const { client } = this.#may(options.signal);
    const bounds = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: await this.#endOf(options) };
    const seed = client.crypto.randomBytes(SEED_BYTES);
    const key = identityOf(seed).signer.publicKey;
    const { party } = client.identity;
    assertWanted(options.signal);
    await client.act("key-grant", { party, key, role: "enrol", label, scopes: ["enrol"], ...bounds });
    return { token: formatEnrolToken({ url: client.url, pins: client.pins, party, seed: toHex(seed) }), key };
  }

  /** The keys that were delegated and stand; with `all` those that are revoked or over, too. */
  async list({ all = false, signal }: { all?: boolean; signal?: AbortSignal } = {}): Promise<KeyView[]> {
    const { client, assertMay } = this.#means;
    assertMay("read");
    const { keys } = await unlessOff(signal, client.read("whoami", { signal }));
    const now = client.timers.now();
    const stands = ({ revokedAt, expiresAt }: KeyView): boolean => revokedAt === null && (expiresAt === null || expiresAt > now);
    return keys.filter((key) => DELEGATED.includes(key.role) && (all || stands(key)));
  }

  /** Revokes a key, by the first letters of its id or by its label: it says nothing any more, and what it had open is cut. */
  async revoke(
    wanted: string,
    { reason = "revoked by its owner", signal }: { reason?: string; signal?: AbortSignal } = {},
  ): Promise<KeyView> {
    const { client } = this.#may(signal);
    const found = keyCalled((await unlessOff(signal, client.read("whoami", { signal }))).keys, wanted);
    await client.act("key-revoke", { party: client.identity.party, key: found.key, reason });
    return found;
  }

  #may(signal: AbortSignal | undefined): Means {
    this.#means.assertMay("manage");
    assertWanted(signal);
    return this.#means;
  }

  /** In the broker's time. */
  async #endOf({ expires, signal }: Labelled): Promise<number | null> {
    if (expires === undefined) return null;
    const ms = typeof expires === "string" ? parseDurationMs(expires, "expires") : expires;
    return unlessOff(signal, this.#means.client.brokerTimeIn(ms));
  }

  async #granted(bounds: Omit<CiToken["key"], "party">, maxPerDayNanos: bigint | null, signal: AbortSignal | undefined): Promise<Token> {
    const { client } = this.#means;
    const seed = client.crypto.randomBytes(SEED_BYTES);
    const key = identityOf(seed).signer.publicKey;
    const granted = { party: client.identity.party, ...bounds };
    assertWanted(signal);
    await client.act("key-grant", { ...granted, key, maxSpendPerDayNanos: maxPerDayNanos?.toString() ?? null });
    const token = formatCiToken({ url: client.url, pins: client.pins, seed: toHex(seed), key: granted });
    return { token, key, ...granted, maxPerDayNanos };
  }
}

function scopesFor(asked: readonly Scope[] | null, hasMost: boolean): Scope[] {
  try {
    return tokenScopes(asked, hasMost);
  } catch (error) {
    return toldHere(error);
  }
}
