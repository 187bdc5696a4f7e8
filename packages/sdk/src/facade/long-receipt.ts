/** A receipt that is too long to hold: it lies where it can be read piece by piece. */
import type { MarketPins } from "@xenoservers/protocol";
import type { OwnFacts, ReceiptVerification } from "@xenoservers/verify";

export abstract class LongReceipt {
  /** As it says itself. */
  abstract readonly lease: string;
  /** What verifying all of it comes to. */
  abstract verified(pins: MarketPins, own: OwnFacts, signal?: AbortSignal): Promise<ReceiptVerification>;
}
