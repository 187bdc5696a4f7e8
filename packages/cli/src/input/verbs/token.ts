import type { Scope } from "@xenoservers/market";
import { TOKEN_SCOPES, parseAmount, parseDurationMs, tokenScopes } from "@xenoservers/sdk";
import { UserError } from "../../output/ui.ts";
import { parseLabel, parseScopes } from "../parse.ts";
import { adding, flag, inputOf, json, text, timeFormat, value, valueOr, type InputOf } from "../verb.ts";

export const tokenCreateInput = inputOf(
  {},
  {
    label: valueOr("--label <text>", "what it is for", "token", parseLabel),
    scopes: adding(
      value("--scopes <scopes>", `what it may do, of ${TOKEN_SCOPES.join(",")} (default spend,control,read)`, parseScopes),
      ",",
    ),
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

/** What a token may do by its options; throws UserError where they exclude each other. */
export function scopesOf({
  scopes,
  readOnly,
  spendOnly,
  maxPerDay,
}: Pick<TokenCreateInput, "scopes" | "readOnly" | "spendOnly" | "maxPerDay">): Scope[] {
  if ([scopes !== null, readOnly, spendOnly].filter(Boolean).length > 1)
    throw new UserError("--scopes, --read-only and --spend-only exclude each other");
  return tokenScopes(scopes ?? (readOnly ? ["read"] : spendOnly ? ["spend"] : null), maxPerDay !== null);
}

export const tokenListInput = inputOf({}, { all: flag("-a, --all", "revoked and expired ones too"), timeFormat, json });
export type TokenListInput = InputOf<typeof tokenListInput>;
