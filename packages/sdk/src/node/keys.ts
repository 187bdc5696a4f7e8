/**
 * The keys of a party, its own root key among them, by the machine that holds it. Who controls the inputs: the program that calls; the
 * broker (which keys stand).
 */
import { unlessOff } from "../calling-off.ts";
import { ContextError } from "../errors.ts";
import type { Callable } from "../facade/market.ts";
import type { Means } from "../facade/means.ts";
import type { KeyView, Token, TokenOptions, Tokens } from "../facade/tokens.ts";
import { clientOf, type Context, type Known } from "./contexts.ts";
import { backupKeys } from "./key-backup.ts";
import { rotateRoot } from "./rotation.ts";

/** A root key that took the place of another. */
export interface Rotated {
  /** The new one's public part. */
  key: string;
  /** The context that holds it. */
  name: string;
}

/** The keys of a market's party: `market.keys`. */
export class Keys {
  readonly #means: Means;
  readonly #tokens: Tokens;
  readonly #known: Known | null;

  constructor(means: Means, tokens: Tokens, known: Known | null) {
    this.#means = means;
    this.#tokens = tokens;
    this.#known = known;
  }

  /** Every key that was ever the party's, root keys and revoked ones included. */
  async list({ signal }: Callable = {}): Promise<KeyView[]> {
    const { client, assertMay } = this.#means;
    assertMay("read");
    return (await unlessOff(signal, client.read("whoami", { signal }))).keys;
  }

  /** A key for another device, as `market.tokens.forDevice`: it speaks for the party in everything but its keys and its money out. */
  add(label: string, options: Pick<TokenOptions, "expires" | "signal"> = {}): Promise<Token> {
    return this.#tokens.forDevice({ ...options, label });
  }

  /** Revokes a key, as `market.tokens.revoke`: by the first letters of its id or by its label. A root key is rotated instead. */
  revoke(wanted: string, options: { reason?: string; signal?: AbortSignal } = {}): Promise<KeyView> {
    return this.#tokens.revoke(wanted, options);
  }

  /** Writes every key of this machine's contexts to a file, as `backupKeys`: whoever reads it is you. Gives the contexts' names. */
  backup(file: string, options: Callable = {}): Promise<string[]> {
    return backupKeys(file, options);
  }

  /**
   * Puts a new root key in place of the one that this machine's context holds; this market speaks by it from then on. Leases that the old
   * one ordered stay open to it. Where nobody answers it fails with `unavailable`, and the next call goes on from there; a crash at any
   * moment leaves a context that the market knows, or one that the next call brings there. `signal` ends it until the key is on its way.
   * Make a new backup after it.
   */
  async rotate({ signal }: Callable = {}): Promise<Rotated> {
    const { client, assertMay } = this.#means;
    assertMay("manage");
    if (!this.#known) throw new ContextError("the root key is rotated where it is kept: connect by a context (`xeno login`, or `login`)");
    const { onCall, onSlow, onFiled } = client;
    const heir = (context: Context) =>
      Object.assign(
        clientOf(context, () => {}),
        { onCall, onSlow, onFiled },
      );
    const { name } = this.#known;
    const { identity } = heir(await rotateRoot(this.#known, heir, signal));
    // jobs that are followed go on by it, too
    Object.assign(client, { identity });
    // the old key's session is over; where none can be had now the next read says so
    await client.login().catch(() => {});
    return { key: identity.signer.publicKey, name };
  }
}
