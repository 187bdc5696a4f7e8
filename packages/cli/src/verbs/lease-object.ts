/**
 * `xeno lease object`: a settlement is wrong; the operator decides. What it costs is said, and what could stop it is looked for, before
 * anything is frozen.
 */
import { objectionDepositNanos } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { ObjectInput } from "../input/verbs/lease.ts";
import { agree } from "../output/ask.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { UserError, duration, money, when } from "../output/ui.ts";

/** Why nobody would rule on it, in words; null where the operator would. */
export function objectionProblem(lease: LeaseView, expectedNanos: bigint, now: number): string | null {
  const { id, state, end, objection, holdNanos, deadlineAt } = lease;
  if (!end || (state !== "settled" && state !== "disputed"))
    return `lease ${shortId(id)} is ${state}: there is no settlement that can be objected to now`;
  if (objection) return `the ${objection.by} has objected already; the operator rules once`;
  if (state === "settled" && now > (deadlineAt ?? end.windowEndsAt)) return `the window for objections ended ${when(end.windowEndsAt)}`;
  if (expectedNanos > BigInt(holdNanos)) return `nobody can owe more than was held (${money(holdNanos)})`;
  if (expectedNanos === BigInt(end.dueNanos))
    return "the settlement says just that: there is nothing to object to; say what is right with --expected AMOUNT";
  return null;
}

/** What objecting puts down and when it is lost. */
export function objectionTerms(lease: LeaseView, expectedNanos: bigint, { timings }: MarketInfo, currency: string): string[] {
  const due = lease.end?.dueNanos ?? "0";
  const deposit = objectionDepositNanos(due, expectedNanos.toString());
  const said = `the settlement says ${money(due, currency)}, you say ${money(expectedNanos, currency)}`;
  const back = `it comes back where the operator bears you out, or does not rule within ${duration(timings.ruleWithinMs)}`;
  return [
    `object   ${said}; the owner's pay is frozen until the operator rules`,
    `deposit  ${money(deposit, currency)}: ${back}; else the other side gets it`,
  ];
}

export async function leaseObject({ lease: id, reason, expected, yes, json }: ObjectInput): Promise<void> {
  const { client, context } = await openClient("dispute", "read");
  const market = await client.market();
  const lease = await client.read("lease", { params: { id } });
  const problem = objectionProblem(lease, expected, client.brokerNow());
  if (problem !== null) throw new UserError(problem);
  if (!json) for (const line of objectionTerms(lease, expected, market, context.currency)) say(line);
  await agree("Put the deposit down and object?", yes || json);
  const answer = await client.act("objection", { lease: lease.id, party: context.party, expectedDueNanos: expected.toString(), reason });
  if (json) return printJson(answer);
  print("the owner's pay is frozen until the operator rules");
}
