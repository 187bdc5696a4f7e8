/**
 * `xeno lease object`: a settlement is wrong; the operator decides. What it costs is said, and what could stop it is looked for, before
 * anything is frozen.
 */
import type { MarketInfo } from "@xenoservers/protocol/link";
import type { ObjectionTerms } from "@xenoservers/sdk";
import { openMarket } from "../input/market.ts";
import type { ObjectInput } from "../input/verbs/lease.ts";
import { agree } from "../output/ask.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { duration, money } from "../output/ui.ts";

/** What objecting puts down and when it is lost. */
export function objectionTerms(
  { lease, depositNanos }: ObjectionTerms,
  expectedNanos: bigint,
  { timings }: MarketInfo,
  currency: string,
): string[] {
  const said = `the settlement says ${money(lease.end?.dueNanos ?? "0", currency)}, you say ${money(expectedNanos, currency)}`;
  const back = `it comes back where the operator bears you out, or does not rule within ${duration(timings.ruleWithinMs)}`;
  return [
    `object   ${said}; the owner's pay is frozen until the operator rules`,
    `deposit  ${money(depositNanos, currency)}: ${back}; else the other side gets it`,
  ];
}

export async function leaseObject({ lease, reason, expected, yes, json }: ObjectInput): Promise<void> {
  const { market, context } = await openMarket("dispute", "read");
  const answer = await market.object(lease, {
    ...{ reason, expected },
    async onTerms(terms) {
      if (!json) for (const line of objectionTerms(terms, expected, await market.client.market(), context.currency)) say(line);
      await agree("Put the deposit down and object?", yes || json);
    },
  });
  if (json) return printJson(answer);
  print("the owner's pay is frozen until the operator rules");
}
