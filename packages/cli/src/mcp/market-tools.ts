/** Tools that look at the market and at what one has in it, and the one that ends a lease. */
import { heldByAll, isLive } from "@xenoservers/market";
import type { LeaseView, OfferView, RouteReply } from "@xenoservers/protocol";
import { LEASE_ID, Market, conditionsIn, pagesOf, scopeProblem } from "@xenoservers/sdk";
import { z } from "zod";
import { UserError, money, when } from "../output/ui.ts";
import { keptAndChecked } from "../proof/receipt-check.ts";
import { endOf } from "./run-tools.ts";
import { tool } from "./tool.ts";

export const zLease = z.string().regex(LEASE_ID, { error: "it is no lease: four or more of 0-9 and a-f" }).describe("as run gave it");
const ROWS_MAX = 100;

const offerRow = (offer: OfferView, currency: string) => ({
  ...{ server: offer.server, owner: offer.owner, sandbox: offer.sandbox, drivers: offer.drivers, labels: offer.labels },
  ...{ score: offer.cpuScore, free: offer.free, record: offer.record, heldBy: heldByAll(offer.holds, offer.drivers) },
  price: `${money(offer.priceNanosPerHour, currency)}/h`,
});

export const searchTool = tool({
  name: "search",
  title: "Servers on offer",
  says: "Lists servers that fit conditions such as 'cpu>=2 mem>=4G region=eu price<0.05', cheapest first, and why others do not fit.",
  looks: true,
  schema: z.strictObject({ conditions: z.string().default(""), limit: z.int().min(1).max(ROWS_MAX).default(20) }),
  async run({ conditions: q, limit }, { session: { client, context } }) {
    conditionsIn(q, "");
    const offers: OfferView[] = [];
    let last: RouteReply<"offers"> | null = null;
    for await (const page of pagesOf(client, "offers", { q }, limit)) {
      last = page;
      offers.push(...page.offers);
    }
    return {
      offers: offers.map((offer) => offerRow(offer, context.currency)),
      pricesFor: last?.resources,
      explanation: last?.explanation ?? "",
      excluded: last?.excluded ?? {},
    };
  },
});

const leaseRow = (lease: LeaseView, currency: string) => ({
  ...endOf(lease, currency),
  ...{ label: lease.label, server: lease.server, orderedAt: when(lease.issuedAt), rate: `${money(lease.ratePerHourNanos, currency)}/h` },
  held: money(lease.holdNanos, currency),
});

export const leasesTool = tool({
  name: "leases",
  title: "Leases and what they cost",
  says: "Your leases, newest first: state, how they ended, what they cost. Running ones alone unless 'all' is set.",
  looks: true,
  schema: z.strictObject({ all: z.boolean().default(false), limit: z.int().min(1).max(ROWS_MAX).default(20) }),
  async run({ all, limit }, { session: { client, context } }) {
    const leases: LeaseView[] = [];
    for await (const page of pagesOf(client, "leases", { live: all ? "false" : "true" }, limit)) leases.push(...page.leases);
    return { leases: leases.map((lease) => leaseRow(lease, context.currency)) };
  },
});

export const stopTool = tool({
  name: "stop",
  title: "End a lease",
  says: "Ends a lease and its cost; what it wrote so far is kept. Nothing is charged from then on.",
  looks: false,
  schema: z.strictObject({ lease: zLease }),
  async run({ lease: id }, { session: { client, context, leases }, money: told }) {
    const problem = scopeProblem("of this agent", context, ["control"]);
    if (problem !== null) throw new UserError(problem);
    told.effect = "the lease costs at most its budget until it ends";
    const lease = await Market.of(client).stop(id, { reason: "stopped by its agent" });
    if (!isLive(lease.state)) leases.over(lease.id);
    return endOf(lease, context.currency);
  },
});

const RECEIPT_WITHIN_MS = 10_000;

export const receiptsTool = tool({
  name: "receipts",
  title: "Check a lease's receipt",
  says:
    "Fetches, keeps and checks the receipt of a lease against the market's pinned keys. Each line is proved, claimed (one party's word) " +
    "or failed; 'ok' is false where any failed.",
  looks: true,
  schema: z.strictObject({ lease: zLease }),
  async run({ lease: id }, { session: { client, context } }) {
    const lease = await client.read("lease", { params: { id } });
    const { ok, lines, file } = await keptAndChecked(client, lease.id, RECEIPT_WITHIN_MS);
    return {
      ...endOf(lease, context.currency),
      ...{ ok, file },
      lines: lines.map(({ status, check, says }) => ({ status, check, says })),
    };
  },
});
