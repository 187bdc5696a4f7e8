/** The broker's keys in its operator's name: whoever knows the operator's key knows from it which keys are the broker's. */
import { refuse, type MarketPins, type Verified } from "@xenoservers/protocol";
import { planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const isSame = (a: MarketPins["keys"], b: MarketPins["keys"]): boolean =>
  a.purchaseOrders === b.purchaseOrders && a.checkpoints === b.checkpoints && a.receipts === b.receipts;

/** Only keys that this broker has: nobody is told of others. */
export async function publishKeys(round: Round, document: Verified<"market-keys">): Promise<Outcome> {
  const { keys, sequence } = document.payload;
  if (!isSame(keys, round.services.market.keys)) return refuse("not_yours", { why: "these are not this broker's keys" });
  return planned(round, { id: document.id, filed: [{ document, parties: [] }], uniques: [`market-keys/${sequence}`] });
}
