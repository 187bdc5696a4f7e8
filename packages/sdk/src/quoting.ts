/** What a run would cost, and what is wanted of the market said in full: everything between the words of a customer and its order. */
import { accountOf } from "./account.ts";
import type { MarketClient } from "./client.ts";
import { InputError, RefusedError } from "./errors.ts";
import { quoteFor, type Quoted, type Wanted } from "./order.ts";

/** In a quote; the broker draws among all that fit. */
const OWNERS_SHOWN_MAX = 16;

/** The cheapest offer of each owner that fits, cheapest first; the broker draws among them. Throws RefusedError `no_match`, `busy`. */
export async function quotesFor(client: MarketClient, wanted: Wanted, signal?: AbortSignal): Promise<[Quoted, ...Quoted[]]> {
  const count = wanted.replicas ?? 1;
  const quotes: [Quoted, ...Quoted[]] = [await quoteFor(client, wanted, signal)];
  while (count > 1 && quotes.length < OWNERS_SHOWN_MAX) {
    const others = quotes.map(({ offer }) => ({ key: "owner", op: "!=" as const, value: offer.owner }));
    const next = await quoteFor(client, { ...wanted, conditions: [...wanted.conditions, ...others] }, signal).catch((error: unknown) => {
      if (error instanceof RefusedError && ["no_match", "busy"].includes(error.refusal.code) && quotes.length >= count) return null;
      throw error;
    });
    if (!next) break;
    quotes.push(next);
  }
  return quotes;
}

/** A key that is bound to a label orders under it and no other. */
function labelOf({ label }: Wanted, leaseLabel: string | null): string {
  if (leaseLabel !== null && label !== "" && label !== leaseLabel)
    throw new InputError(`this key acts on leases labelled '${leaseLabel}' alone; leave out --label`);
  return leaseLabel ?? label;
}

async function checkFee(client: MarketClient, { feeBasisPointsMax }: Wanted): Promise<void> {
  const { feeBasisPoints } = await client.market();
  if (feeBasisPointsMax !== undefined && feeBasisPoints > feeBasisPointsMax)
    throw new InputError(
      `the broker keeps ${feeBasisPoints / 100} % of what is paid, more than --max-fee ${feeBasisPointsMax / 100} %: nothing was ordered`,
    );
}

/** With the label and the account that it is ordered under. `account`: by id, by its first letters, or by name. Throws InputError. */
export async function settleWanted(client: MarketClient, wanted: Wanted, account: string | null, signal?: AbortSignal): Promise<Wanted> {
  const label = labelOf(wanted, client.identity.leaseLabel);
  const settled = { ...wanted, label, account: await accountOf(client, account, signal) };
  await checkFee(client, settled);
  return settled;
}
