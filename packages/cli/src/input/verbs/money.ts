import { parseAmount } from "@xenoservers/sdk";
import { UserError } from "../../output/ui.ts";
import { countOrAll } from "../parse.ts";
import { flag, inputOf, json, text, timeFormat, value, valueOr, word, wordAs, type InputOf } from "../verb.ts";

export const walletInput = inputOf(
  {},
  {
    byLabel: flag("--by-label", "what all leases came to, by the label that they were ordered under"),
    csv: flag("--csv", "statement as CSV"),
    limit: valueOr("--limit <n>", "entries of the statement, newest first; or all", "20", countOrAll),
    after: text("--after <place>", "from where an earlier statement ended"),
    account: text("--account <account>", "of this account and what is below it"),
    ...{ timeFormat, json },
  },
);
export type WalletInput = InputOf<typeof walletInput>;

/** `none`: no limit. */
const parseLimit = (typed: string, option: string): bigint | null => (typed === "none" ? null : parseAmount(typed, option));
export const limitsInput = inputOf({ account: word, amount: wordAs(parseLimit) }, {});
export type LimitsInput = InputOf<typeof limitsInput>;

function parseDirection(typed: string): "deposit" | "withdraw" {
  if (typed === "deposit" || typed === "withdraw") return typed;
  throw new UserError(`stake '${typed}': write deposit or withdraw`);
}
export const stakeInput = inputOf({ direction: wordAs(parseDirection), amount: wordAs(parseAmount) }, {});
export type StakeInput = InputOf<typeof stakeInput>;

export const accountCreateInput = inputOf(
  { name: word },
  {
    limit: value("--limit <amount>", "most it may spend", parseAmount),
    parent: text("--parent <account>", "under which account"),
    json,
  },
);
export type AccountCreateInput = InputOf<typeof accountCreateInput>;
