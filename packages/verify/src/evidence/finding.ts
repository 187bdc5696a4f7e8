/** What a piece of evidence comes to: the rule that was broken, the documents that show it, and in which role each was signed. */
import type { AnyDocument, MarketPins, SignedDocument } from "@xenoservers/protocol";

/** A document or checkpoint that a finding rests on. */
export interface Cited {
  kind: string;
  /** Of a checkpoint, its root. */
  id: string;
  /** The role of the key that signed it. */
  by: string;
  key: string;
}

export interface Finding {
  /** Of docs/protocol.md. */
  rule: string;
  says: string;
  documents: readonly Cited[];
  /** Why it convicts nobody even by right keys; null where it does. */
  only: string | null;
}

const BROKER_ROLES: Readonly<Record<keyof MarketPins["keys"], string>> = {
  purchaseOrders: "the broker's key for orders",
  checkpoints: "the broker's key of the log",
  receipts: "the broker's key for receipts",
};
const NAMES = ["purchaseOrders", "checkpoints", "receipts"] as const;

/** As what a market's own keys sign; null of any other key. */
export function marketsRole(markets: readonly MarketPins[], key: string): string | null {
  for (const { keys, operatorKey } of markets) {
    const name = NAMES.find((each) => keys[each] === key);
    if (name) return BROKER_ROLES[name];
    if (key === operatorKey) return "the operator's key";
  }
  return null;
}

const UNKNOWN = "a key that nothing here knows";

export const citedDocument = ({ kind, id, keyid }: SignedDocument | AnyDocument, role: string | null): Cited => ({
  ...{ kind, id, by: role ?? UNKNOWN, key: keyid },
});

export const citedCheckpoint = (root: string, key: string): Cited => ({ kind: "checkpoint", id: root, by: BROKER_ROLES.checkpoints, key });
