/** `xeno search`: what is on offer. */
import { parseConditions } from "@xenoservers/market";
import { openClient } from "../input/home.ts";
import { UserError, mib, money, print, printJson, say, shortId, table } from "../output/ui.ts";

export interface SearchOptions {
  order: "price" | "cost-per-work";
  on: "mine" | "market";
  explain?: boolean;
  json?: boolean;
  limit: string;
}

export async function search(words: string[], options: SearchOptions): Promise<void> {
  const parsed = parseConditions(words.join(" "));
  if (!parsed.ok) throw new UserError(`'${parsed.condition}': ${parsed.why}`);
  const { client, context } = await openClient();
  const found = await client.read("offers", { query: { q: words.join(" "), order: options.order, on: options.on, limit: Number(options.limit) } });
  if (options.json) return printJson(found);
  if (found.offers.length === 0) {
    say(options.explain ? `no server fits: ${found.explanation}` : "no server fits; --explain says why");
    process.exitCode = 1;
    return;
  }
  const { vcpu, memoryMib, diskMib } = found.resources;
  say(`prices for ${vcpu} vCPU, ${mib(memoryMib)} memory, ${mib(diskMib)} disk`);
  table(
    ["server", "price/h", "score", "free", "region", "sandbox", "record"],
    found.offers.map((offer) => [
      shortId(offer.server),
      money(offer.priceNanosPerHour, context.currency),
      offer.cpuScore,
      `${offer.free.vcpu} vCPU ${mib(offer.free.memoryMib)}`,
      offer.labels["region"] ?? "",
      offer.sandbox,
      offer.record.leases === 0 ? "new" : `${offer.record.completed}/${offer.record.leases}`,
    ]),
  );
  if (options.explain && Object.keys(found.excluded).length > 0)
    print(
      `left out: ${Object.entries(found.excluded)
        .map(([why, count]) => `${why} ${count}`)
        .join(", ")}`,
    );
}
