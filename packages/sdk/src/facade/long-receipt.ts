/** A receipt that is too long to hold: it lies where it can be read piece by piece. */
import type { MarketPins } from "@xenoservers/protocol";
import type { OwnFacts, ReceiptVerification } from "@xenoservers/verify";

/** How far the fetch of a long receipt is. */
export interface ReceiptProgress {
  documents: number;
  /** As the broker says of a lease that may run on; null: it does not say. */
  documentsInAll: number | null;
  bytes: number;
  /** So many of each are of an earlier fetch, whose last part came at `at`; null: there was none. */
  before: { documents: number; bytes: number; at: number } | null;
}

/** Who waits for a receipt to be fetched. */
export interface ReceiptWatching {
  onProgress?: ((progress: ReceiptProgress) => void) | undefined;
  /** Ends the fetch; what came of a long one is gone on with by the next. */
  signal?: AbortSignal | undefined;
}

export abstract class LongReceipt {
  /** As it says itself. */
  abstract readonly lease: string;
  /** What verifying all of it comes to. */
  abstract verified(pins: MarketPins, own: OwnFacts, signal?: AbortSignal): Promise<ReceiptVerification>;
}
