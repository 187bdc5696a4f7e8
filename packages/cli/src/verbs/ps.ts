/** `xeno ps`: the leases one is part of, and what they cost. */
import { isLive } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { openClient } from "../input/home.ts";
import type { PsInput } from "../input/verbs/lease.ts";
import { dueLine } from "../proof/audit.ts";
import { dueAudits } from "./audit.ts";
import { printJson, say } from "../output/terminal.ts";
import { duration, money, shortId, table } from "../output/ui.ts";

const LEASES_SHOWN_MAX = 200;
const endOf = ({ end }: LeaseView): string => (end ? `${end.reason}${end.exitCode === null ? "" : ` (${end.exitCode})`}` : "");

export async function ps({ all, json }: PsInput): Promise<void> {
  const { client, context } = await openClient("read");
  const { leases } = await client.read("leases", { query: { live: all ? "false" : "true", limit: LEASES_SHOWN_MAX } });
  if (json) return printJson({ leases });
  const mine = (lease: LeaseView): boolean => lease.customer === context.party;
  table(
    ["lease", "as", "state", "server", "per hour", "used", "label", "ended"],
    leases.map((lease) => [
      ...[
        shortId(lease.id),
        mine(lease) ? "customer" : "owner",
        lease.state,
        shortId(lease.server),
        money(lease.ratePerHourNanos, context.currency),
      ],
      ...[duration(lease.usedMs), lease.label, endOf(lease)],
    ]),
  );
  const rate = leases
    .filter((lease) => mine(lease) && isLive(lease.state))
    .reduce((sum, lease) => sum + BigInt(lease.ratePerHourNanos), 0n);
  const due = await dueAudits(client);
  if (due.length > 0) say(dueLine(due));
  say(`running leases cost you ${money(rate, context.currency)} per hour in all`);
}
