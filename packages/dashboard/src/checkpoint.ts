/** The log's last checkpoint as this page checks it, by the keys that the market names. Who controls the inputs: the broker. */
import { cosignatureOf, parseLogOrigin, verifyCheckpoint, type Checkpoint, type Crypto } from "@xenoservers/protocol";
import type { MarketInfo } from "@xenoservers/protocol/link";

export interface CheckedLog {
  checkpoint: Checkpoint;
  /** Each of the market's witnesses, and when it cosigned this checkpoint; null: it did not. */
  witnesses: readonly { name: string; at: number | null }[];
}

/** Null: it is not rightly signed, or of another market. */
export function checkedLog(
  crypto: Crypto,
  { origin, keys, witnesses }: Pick<MarketInfo, "origin" | "keys" | "witnesses">,
  note: string,
): CheckedLog | null {
  const checkpoint = verifyCheckpoint(crypto, keys.checkpoints, note);
  if (!checkpoint || parseLogOrigin(checkpoint.origin)?.market !== origin) return null;
  const signed = witnesses.map((witness) => {
    const cosigned = cosignatureOf(crypto, witness, note);
    return { name: witness.name, at: cosigned === null ? null : cosigned.seconds * 1_000 };
  });
  return { checkpoint, witnesses: signed };
}
