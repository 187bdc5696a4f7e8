/** `xeno ps`: the leases one is part of, and what they cost. */
import { isLive } from "@xenoservers/market";
import type { LeaseView, RouteReply } from "@xenoservers/protocol";
import { dueAudits, home, pagesOf, shellWord, shortId } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import type { PsInput } from "../input/verbs/lease.ts";
import { dueLine } from "../proof/audit-due.ts";
import { noteLeases, notedLeases } from "../output/completion-words.ts";
import { Listing, fromPlace } from "../output/listing.ts";
import { printJsonList, say } from "../output/terminal.ts";
import { ago, countOf, duration, money, putTimesAs, table } from "../output/ui.ts";

/** As many of the newest are looked at for audits that are due. */
const AUDITS_LOOKED_FOR = 1_000;
type AwayView = RouteReply<"leases">["away"][number];
const endOf = ({ end }: LeaseView): string => (end ? `${end.reason}${end.exitCode === null ? "" : ` (${end.exitCode})`}` : "");

export async function ps({ all, label, limit, after, timeFormat, json }: PsInput): Promise<void> {
  putTimesAs(timeFormat);
  const { client, context } = await openClient("read");
  const noted = await notedLeases(home.data);
  const query = { live: all ? "false" : "true", ...fromPlace(after) } as const;
  const away: AwayView[] = [];
  const listing = new Listing(pagesOf(client, "leases", query, limit), (page) => {
    away.push(...page.away);
    return label === null ? page.leases : page.leases.filter((lease) => lease.label === label);
  });
  if (json) return printJsonList({}, "leases", listing.byPage(), () => ({ away, next: listing.next }));
  // neither has to wait for the other
  const [leases, due] = await Promise.all([listing.all(), dueAudits(client, AUDITS_LOOKED_FOR)]);
  if (!all && label === null && after === null && listing.next === null)
    await noteLeases(
      home.data,
      leases.map(({ id }) => id),
      noted,
    );
  const mine = (lease: LeaseView): boolean => lease.customer === context.party;
  const now = client.timers.now();
  table(
    ["lease", "as", "state", "server", "ordered", "per hour", "used", "label", "ended"],
    leases.map((lease) => [
      ...[
        shortId(lease.id),
        mine(lease) ? "customer" : "owner",
        lease.state,
        shortId(lease.server),
        ago(lease.issuedAt, now),
        money(lease.ratePerHourNanos, context.currency),
      ],
      ...[duration(lease.usedMs), lease.label, endOf(lease)],
    ]),
  );
  const rate = leases
    .filter((lease) => mine(lease) && isLive(lease.state))
    .reduce((sum, lease) => sum + BigInt(lease.ratePerHourNanos), 0n);
  if (due.length > 0) say(dueLine(due));
  const isPart = listing.next !== null || after !== null;
  say(`running leases cost you ${money(rate, context.currency)} per hour ${isPart || label !== null ? "as far as shown here" : "in all"}`);
  sayAway(away);
  listing.sayMore(["xeno ps", ...(all ? ["--all"] : []), ...(label === null ? [] : ["--label", shellWord(label)])].join(" "));
}

/** As many are named. */
const AWAY_SHOWN_MAX = 10;

function sayAway(away: readonly AwayView[]): void {
  if (away.length === 0) return;
  const more = away.length > AWAY_SHOWN_MAX ? ` and ${away.length - AWAY_SHOWN_MAX} more` : "";
  const names = away.slice(0, AWAY_SHOWN_MAX).map(({ id, state }) => `${shortId(id)} (${state})`);
  const what = `${countOf(away.length, "lease")} that are over lie in the market's archive, which its broker cannot read now`;
  say(`${what}: ${names.join(", ")}${more}`);
}
