import { ROLE_SCOPES, SCOPES, type Scope } from "@xenoservers/market";
import { parseAmount, parseDurationMs } from "@xenoservers/sdk";
import { UserError } from "../../output/ui.ts";
import { parseLabel, parseScopes } from "../parse.ts";
import { flag, inputOf, json, text, timeFormat, value, valueOr, type InputOf } from "../verb.ts";

const FOR_TOKENS = SCOPES.filter((scope) => ROLE_SCOPES.ci.includes(scope));

export const tokenCreateInput = inputOf(
  {},
  {
    label: valueOr("--label <text>", "what it is for", "token", parseLabel),
    scopes: value("--scopes <scopes>", `what it may do, of ${FOR_TOKENS.join(",")} (default spend,control,read)`, parseScopes),
    readOnly: flag("--read-only", "it may look and do nothing"),
    spendOnly: flag("--spend-only", "it may order and nothing else, not even look"),
    account: text("--account <account>", "it acts in this account alone"),
    leaseLabel: value("--lease-label <text>", "it acts on leases of this label alone", parseLabel),
    maxPerDay: value("--max-per-day <amount>", "most it may spend per day", parseAmount),
    expires: value("--expires <duration>", "such as 30d", parseDurationMs),
    server: flag("--server", "an enrolment token for one machine"),
    json,
  },
);
export type TokenCreateInput = InputOf<typeof tokenCreateInput>;

/** Runs jobs and sees what becomes of them; doubts, which cost deposits, are for people. */
const USUAL: readonly Scope[] = ["spend", "control", "read"];

/** What a token may do by its options; throws UserError where they exclude each other. */
export function scopesOf({
  scopes,
  readOnly,
  spendOnly,
  maxPerDay,
}: Pick<TokenCreateInput, "scopes" | "readOnly" | "spendOnly" | "maxPerDay">): Scope[] {
  if ([scopes !== null, readOnly, spendOnly].filter(Boolean).length > 1)
    throw new UserError("--scopes, --read-only and --spend-only exclude each other");
  const wanted = scopes ?? (readOnly ? (["read"] as const) : spendOnly ? (["spend"] as const) : USUAL);
  const above = wanted.filter((scope) => !FOR_TOKENS.includes(scope));
  if (above.length > 0)
    throw new UserError(
      `a token cannot ${above.join(", ")}: that is the root key's or a machine's; it may be granted ${FOR_TOKENS.join(", ")}`,
    );
  if (wanted.includes("spend") && maxPerDay === null) throw new UserError("say how much it may spend per day: --max-per-day 2.50");
  if (!wanted.includes("spend") && maxPerDay !== null) throw new UserError("--max-per-day is for tokens that may spend");
  return [...wanted];
}

export const tokenListInput = inputOf({}, { all: flag("-a, --all", "revoked and expired ones too"), timeFormat, json });
export type TokenListInput = InputOf<typeof tokenListInput>;
