import { countOrAll } from "../parse.ts";
import { choiceOr, flag, inputOf, json, rest, text, valueOr, type InputOf } from "../verb.ts";

export const searchInput = inputOf(
  { conditions: rest },
  {
    order: choiceOr("-o, --order <by>", "cheapest first, or by cost per benchmark point", ["price", "cost-per-work"], "price"),
    on: choiceOr("--on <whose>", "your own machines, or the market's", ["mine", "market"], "market"),
    account: text("--account <account>", "and what this account may still spend"),
    explain: flag("--explain", "say what excluded the others"),
    limit: valueOr("--limit <n>", "how many; or all", "20", countOrAll),
    after: text("--after <place>", "from where an earlier list of the same search ended"),
    json,
  },
);
export type SearchInput = InputOf<typeof searchInput>;
