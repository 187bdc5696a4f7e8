/** `xeno token create`: a delegated key with its bounds, or an enrolment token for one machine. */
import { randomBytes } from "node:crypto";
import { formatEnrolToken } from "@xenoservers/protocol";
import { createSigner } from "@xenoservers/protocol/node";
import { type Context, type MarketClient, accountOf, formatCiToken } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import { scopesOf, type TokenCreateInput } from "../input/verbs/token.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, money, when } from "../output/ui.ts";

export async function tokenCreate(input: TokenCreateInput): Promise<void> {
  if (input.server) return enrolToken(input);
  const scopes = scopesOf(input);
  const { client, context } = await openClient("manage");
  const seed = randomBytes(32);
  const key = createSigner(seed).publicKey;
  const { party } = client.identity;
  const { label, leaseLabel, maxPerDay } = input;
  const account = input.account === null ? null : await accountOf(client, input.account);
  const expiresAt = await expiresAtOf(client, input);
  const granted = { party, role: "ci" as const, label, scopes, account, leaseLabel, expiresAt };
  await client.act("key-grant", { ...granted, key, maxSpendPerDayNanos: maxPerDay?.toString() ?? null });
  const token = formatCiToken({ url: context.url, pins: context.pins, seed: seed.toString("hex"), key: granted });
  if (input.json) return printJson({ token, key, ...granted, maxSpendPerDayNanos: maxPerDay?.toString() ?? null });
  say(`it may ${boundsText(granted, maxPerDay, context)}`);
  say("a secret; use it with: xeno login --token TOKEN");
  print(token);
}

const expiresAtOf = async (client: MarketClient, { expires }: TokenCreateInput): Promise<number | null> =>
  expires === null ? null : client.brokerTimeIn(expires);

interface Bounds {
  scopes: readonly string[];
  account: string | null;
  leaseLabel: string | null;
  expiresAt: number | null;
}

function boundsText({ scopes, account, leaseLabel, expiresAt }: Bounds, maxPerDay: bigint | null, { currency }: Context): string {
  const bounds = [
    maxPerDay === null ? "" : `at most ${money(maxPerDay, currency)} a day`,
    account === null ? "in every account of yours" : `in the account ${account} alone`,
    leaseLabel === null ? "" : `on leases labelled '${leaseLabel}' alone`,
    expiresAt === null ? "until it is revoked" : `until ${when(expiresAt)}`,
  ];
  return `${scopes.join(", ")}: ${bounds.filter((each) => each !== "").join(", ")}`;
}

/** A key that can enrol one machine and nothing else. */
async function enrolToken(input: TokenCreateInput): Promise<void> {
  const { label, scopes, readOnly, spendOnly, account, leaseLabel, maxPerDay, json } = input;
  if (readOnly || spendOnly || [scopes, account, leaseLabel, maxPerDay].some((each) => each !== null))
    throw new UserError(
      "--server makes a token that enrols one machine and does nothing else: leave out scopes, account, label and spending",
    );
  const { client, context } = await openClient("manage");
  const seed = randomBytes(32);
  const key = createSigner(seed).publicKey;
  const { party } = client.identity;
  const bounds = { account: null, leaseLabel: null, maxSpendPerDayNanos: null, expiresAt: await expiresAtOf(client, input) };
  await client.act("key-grant", { party, key, role: "enrol", label, scopes: ["enrol"], ...bounds });
  const token = formatEnrolToken({ url: context.url, pins: context.pins, party, seed: seed.toString("hex") });
  if (json) return printJson({ token, key });
  say("works once; on the machine run: xeno serve --enrol TOKEN");
  print(token);
}
