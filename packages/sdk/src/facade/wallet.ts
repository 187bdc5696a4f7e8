/**
 * A party's money in a market: what its accounts hold, what moved, and the bounds that it sets itself. Who controls the inputs: the program
 * that calls; the broker (balances, entries, ids).
 */
import { zAccount, zId, zNanos, type RouteReply } from "@xenoservers/protocol";
import { accountOf, type AccountView } from "../account.ts";
import { BrokenWordError } from "../errors.ts";
import { listOf } from "../lists.ts";
import { parseAmount, parseDurationMs } from "../words.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";
import type { Answer } from "./lease-acts.ts";
import type { Means } from "./means.ts";
import { cancellableReading } from "./reading.ts";

/** One movement of money, newest first in a statement. */
export type StatementEntry = RouteReply<"statement">["entries"][number];
/** By state, as decimal strings of nanos. */
export type Balances = RouteReply<"accounts">["balances"];

interface Bounded {
  /** By id, or by its name; absent: the key's own. */
  account?: string;
  signal?: AbortSignal;
}

/** One hold for many leases. */
export interface BatchOptions extends Bounded {
  budget: string | bigint;
  /** For so long: "2h", or milliseconds. */
  expires: string | number;
}

const amountIn = (amount: string | bigint, name: string): bigint => (typeof amount === "string" ? parseAmount(amount, name) : amount);

/** Of what the broker answered to a document. Throws BrokenWordError. */
function valueIn<T>(answer: Answer, name: string, like: { safeParse(value: unknown): { success: boolean; data?: T } }): T {
  const { data } = like.safeParse(answer[name]);
  if (data === undefined) throw new BrokenWordError(`the broker took it, and its answer says no '${name}'`);
  return data;
}

/** A party's accounts: `market.wallet`. */
export class Wallet {
  readonly #means: Means;

  constructor(means: Means) {
    this.#means = means;
  }

  /** What all accounts hold together, by its state; what lies in batches is held by them. */
  async balances({ signal }: Pick<Bounded, "signal"> = {}): Promise<Balances> {
    return (await this.#read(signal)).balances;
  }

  /** The accounts, with what each may spend and has spent. */
  async accounts({ signal }: Pick<Bounded, "signal"> = {}): Promise<AccountView[]> {
    return (await this.#read(signal)).accounts;
  }

  /** Every movement, newest first. */
  statement({ signal }: Pick<Bounded, "signal"> = {}): AsyncGenerator<StatementEntry, void> {
    const { client, assertMay } = this.#means;
    assertMay("read");
    return listOf(cancellableReading(client, signal), "statement", {});
  }

  /** Makes an account below the key's own, or below `account`. `limit`: the most that it may ever spend. */
  async addAccount(
    name: string,
    { account, limit, signal }: Bounded & { limit?: string | bigint } = {},
  ): Promise<{ account: string; answer: Answer }> {
    const limitNanos = limit === undefined ? null : amountIn(limit, "limit").toString();
    const { client } = this.#may("manage", signal);
    const parent = await unlessOff(signal, accountOf(client, account ?? null, signal));
    const answer = await client.act("account", { party: client.identity.party, parent, name, limitNanos, clientId: client.newId() });
    return { account: valueIn(answer, "account", zAccount), answer };
  }

  /** Sets the most that an account may spend in all; null: no limit. Gives the account's id. */
  async limit(account: string, limit: string | bigint | null, { signal }: Pick<Bounded, "signal"> = {}): Promise<string> {
    const limitNanos = limit === null ? null : amountIn(limit, "limit").toString();
    const { client } = this.#may("manage", signal);
    const id = await unlessOff(signal, accountOf(client, account, signal));
    await client.act("account-limit", { party: client.identity.party, account: id, limitNanos, clientId: client.newId() });
    return id;
  }

  /** Holds a budget that many leases draw on, as `batch` of each. What is left comes back after `expires`, or when it is closed. */
  async openBatch({ budget, expires, account, signal }: BatchOptions): Promise<{ batch: string; answer: Answer }> {
    const budgetNanos = amountIn(budget, "budget").toString();
    const ms = typeof expires === "string" ? parseDurationMs(expires, "expires") : expires;
    const { client } = this.#may("spend", signal);
    const from = await unlessOff(signal, accountOf(client, account ?? null, signal));
    const expiresAt = await unlessOff(signal, client.brokerTimeIn(ms));
    assertWanted(signal);
    const { party } = client.identity;
    const answer = await client.act("batch", { party, account: from, budgetNanos, expiresAt, clientId: client.newId() });
    return { batch: valueIn(answer, "batch", zId), answer };
  }

  /** Closes a batch: what was not drawn comes back. */
  async closeBatch(batch: string, { signal }: Pick<Bounded, "signal"> = {}): Promise<{ returnedNanos: bigint; answer: Answer }> {
    const { client } = this.#may("control", signal);
    const answer = await client.act("batch-close", { party: client.identity.party, batch });
    return { returnedNanos: BigInt(valueIn(answer, "returnedNanos", zNanos)), answer };
  }

  /** Puts money down behind the results of one's own servers, or takes back what nothing locks. */
  async stake(direction: "deposit" | "withdraw", amount: string | bigint, { signal }: Pick<Bounded, "signal"> = {}): Promise<void> {
    const amountNanos = amountIn(amount, "amount").toString();
    const { client } = this.#may("manage", signal);
    await client.act("stake", { party: client.identity.party, amountNanos, direction, clientId: client.newId() });
  }

  #may(scope: "manage" | "spend" | "control", signal: AbortSignal | undefined): Means {
    this.#means.assertMay(scope);
    assertWanted(signal);
    return this.#means;
  }

  async #read(signal: AbortSignal | undefined): Promise<RouteReply<"accounts">> {
    const { client, assertMay } = this.#means;
    assertMay("read");
    return unlessOff(signal, client.read("accounts", { signal }));
  }
}
