/** `xeno search`: what is on offer. */
import { heldByAll } from "@xenoservers/market";
import type { OfferView, RouteReply } from "@xenoservers/protocol";
import { type MarketClient, accountCalled, conditionsIn, mib, pagesOf, shortId, spendableIn } from "@xenoservers/sdk";
import { openClient } from "../input/client.ts";
import { type SearchInput } from "../input/verbs/search.ts";
import { stepsFor } from "../output/exclusions.ts";
import { heldText } from "../output/held.ts";
import { fromPlace } from "../output/listing.ts";
import { print, printJson, say } from "../output/terminal.ts";
import { money, table } from "../output/ui.ts";

/** Sent with who asks, so that servers that serve only some are found by those. */
export async function search({ conditions, order, on, account, explain, limit, after, json }: SearchInput): Promise<void> {
  const q = conditions.join(" ");
  conditionsIn(q, "");
  const { client, context } = await openClient();
  const offers: OfferView[] = [];
  let found: RouteReply<"offers"> | null = null;
  for await (const page of pagesOf(client, "offers", { q, order, on, ...fromPlace(after) }, limit)) {
    found = page;
    offers.push(...page.offers);
  }
  if (found === null) return;
  if (json) return printJson({ ...found, offers });
  if (offers.length === 0) {
    if (explain) say(`no server fits: ${found.explanation}`, ...stepsFor(found.excluded).map((each) => `  ${each}`));
    else say("no server fits; --explain says why");
    process.exitCode = 1;
    return;
  }
  const { vcpu, memoryMib, diskMib } = found.resources;
  say(`prices for ${vcpu} vCPU, ${mib(memoryMib)} memory, ${mib(diskMib)} disk`);
  offerTable(offers, context.currency);
  const excluded = Object.entries(found.excluded).map(([why, count]) => `${why} ${count}`);
  if (explain && excluded.length > 0) print(`left out: ${excluded.join(", ")}`);
  if (found.next !== null) say(`more: xeno search … --after ${found.next}`);
  if (account !== null) await sayLeft(client, account, context.currency);
}

function recordText({ leases, completed, missed }: OfferView["record"]): string {
  const kept = leases === 0 ? "new" : `${completed}/${leases}`;
  return missed === 0 ? kept : `${kept}, ${missed} missed`;
}

function offerTable(offers: readonly OfferView[], currency: string): void {
  table(
    ["server", "price/h", "score", "free", "region", "sandbox", "held by", "record"],
    offers.map((offer) => [
      shortId(offer.server),
      money(offer.priceNanosPerHour, currency),
      offer.cpuScore,
      `${offer.free.vcpu} vCPU ${mib(offer.free.memoryMib)}`,
      offer.labels["region"] ?? "",
      offer.sandbox,
      heldText(heldByAll(offer.holds, offer.drivers)),
      recordText(offer.record),
    ]),
  );
}

async function sayLeft(client: MarketClient, wanted: string, currency: string): Promise<void> {
  const all = await client.read("accounts");
  const { id, name } = accountCalled(all.accounts, wanted);
  const left = spendableIn(all, id);
  say(`the account ${name} may still spend ${money(left, currency)}`);
}
