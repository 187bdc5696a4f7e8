/** What a market is: fixed by its operator, told to everyone at GET /api/v1/market. */
import { DEFAULT_TIMINGS, type LeaseTimings } from "@xenoservers/market";
import type { Signer } from "@xenoservers/protocol";

export interface MarketConfig {
  /** Names the market in every document. */
  origin: string;
  currency: string;
  /** Signs operator documents; hex. */
  operatorKey: string;
  timings: LeaseTimings;
  /** M: how long after acceptance a document may wait for its place in the log. */
  mergeDelayMs: number;
  /** How long a rotation by the recovery key stands in public before it counts. */
  recoveryDelayMs: number;
  /** How long one secret draws audits, before it is shown. */
  auditRoundMs: number;
  /** How much of sealed results the broker keeps in all. */
  sealedBytesMax: number;
}

export const MARKET_DEFAULTS = {
  ...{
    currency: "credits",
    timings: DEFAULT_TIMINGS,
    mergeDelayMs: 10_000,
    recoveryDelayMs: 7 * 86_400_000,
    auditRoundMs: 3_600_000,
    sealedBytesMax: 4 * 1024 ** 3,
  },
} as const;

/** The broker's separate keys (PROTOCOL section 2). */
export interface BrokerKeys {
  purchaseOrders: Signer;
  checkpoints: Signer;
  receipts: Signer;
  /** Commitments' salts and session tokens derive from it; 32 bytes. */
  secret: Uint8Array;
}

/** Protocol versions this broker speaks. */
export const PROTOCOL_RANGE = { min: 1, max: 1 } as const;
