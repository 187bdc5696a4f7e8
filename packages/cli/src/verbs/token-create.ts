/** `xeno token create`: a delegated key with its bounds, or an enrolment token for one machine. */
import { given, type Context, type Token } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import { scopesOf, type TokenCreateInput } from "../input/verbs/token.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, money, when } from "../output/ui.ts";

export async function tokenCreate(input: TokenCreateInput): Promise<void> {
  if (input.server) return enrolToken(input);
  const scopes = scopesOf(input);
  const { market, context } = await openMarket("manage");
  const { label, account, leaseLabel, maxPerDay, expires } = input;
  const made = await market.tokens.create({ scopes, label, ...given({ account, leaseLabel, maxPerDay, expires }) });
  const { token, maxPerDayNanos, ...granted } = made;
  if (input.json) return printJson({ token, ...granted, maxSpendPerDayNanos: maxPerDayNanos?.toString() ?? null });
  say(`it may ${boundsText(made, context)}`);
  say("a secret; use it with: xeno login --token TOKEN");
  print(token);
}

function boundsText({ scopes, account, leaseLabel, maxPerDayNanos, expiresAt }: Token, { currency }: Context): string {
  const bounds = [
    maxPerDayNanos === null ? "" : `at most ${money(maxPerDayNanos, currency)} a day`,
    account === null ? "in every account of yours" : `in the account ${account} alone`,
    leaseLabel === null ? "" : `on leases labelled '${leaseLabel}' alone`,
    expiresAt === null ? "until it is revoked" : `until ${when(expiresAt)}`,
  ];
  return `${scopes.join(", ")}: ${bounds.filter((each) => each !== "").join(", ")}`;
}

/** A key that can enrol one machine and nothing else. */
async function enrolToken(input: TokenCreateInput): Promise<void> {
  const { label, expires, scopes, readOnly, spendOnly, account, leaseLabel, maxPerDay, json } = input;
  if (readOnly || spendOnly || [scopes, account, leaseLabel, maxPerDay].some((each) => each !== null))
    throw new UserError(
      "--server makes a token that enrols one machine and does nothing else: leave out scopes, account, label and spending",
    );
  const { market } = await openMarket("manage");
  const { token, key } = await market.tokens.forServer({ label, ...given({ expires }) });
  if (json) return printJson({ token, key });
  say("works once; on the machine run: xeno serve --enrol TOKEN");
  print(token);
}
