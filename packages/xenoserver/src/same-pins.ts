/** Whether two descriptions are of one market. */
import type { MarketPins } from "@xenoservers/protocol";

export const samePins = (one: MarketPins, other: MarketPins): boolean =>
  one.origin === other.origin &&
  one.operatorKey === other.operatorKey &&
  one.keys.purchaseOrders === other.keys.purchaseOrders &&
  one.keys.receipts === other.keys.receipts &&
  one.keys.checkpoints === other.keys.checkpoints;
