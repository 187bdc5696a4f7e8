/**
 * `xeno broker fee`: announces what the broker keeps of what customers pay, and from when on. A rise is told a day ahead; the log holds
 * every word of it.
 */
import type { MarketInfo } from "@xenoservers/protocol/link";
import type { FeeInput } from "../input/verbs/operator.ts";
import { operate, operatorHere } from "../local/operate.ts";
import { say } from "../output/terminal.ts";
import { UserError, when } from "../output/ui.ts";

/** What a market gives its parties to go elsewhere before a higher fee holds. */
const NOTICE_MS = 24 * 3_600_000;
/** For the way and for clocks that differ. */
const SLACK_MS = 120_000;

const isFirst = ({ feeBasisPoints, announcedFee }: MarketInfo): boolean => feeBasisPoints === 0 && announcedFee === null;

/** When the fee begins to hold: as soon as it may where nothing else is said. Throws UserError where the market would refuse it. */
export function beginsAt(market: MarketInfo, basisPoints: number, from: number | null, now: number): number {
  const rises = basisPoints > market.feeBasisPoints && !isFirst(market);
  if (from === null) return rises ? now + NOTICE_MS + SLACK_MS : now;
  if (!rises || from >= now + NOTICE_MS) return from;
  const earliest = `${new Date(now + NOTICE_MS + SLACK_MS).toISOString().slice(0, 16)}Z`;
  throw new UserError(`a rise needs 24 hours of notice: --from ${earliest} or later (the fee is ${market.feeBasisPoints / 100} % now)`);
}

export async function brokerFee({ part, from, data }: FeeInput): Promise<void> {
  const client = await operatorHere(data);
  const market = await client.market();
  const effectiveAt = beginsAt(market, part, from, client.brokerNow());
  await operate(client, "fee", { basisPoints: part, effectiveAt, clientId: client.newId() });
  say(`${part / 100} % of what customers pay, out of the owner's part, from ${when(effectiveAt)}`);
  say("purchase orders before that keep the fee they have");
}
