/** What a market tells everyone of itself: origin, keys to pin, timings, fee in force and announced, referees, witnesses. */
import { refereesAt } from "@xenoservers/market";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { PROTOCOL_RANGE } from "../config.ts";
import { witnessesOf } from "../log/cosigned.ts";
import { feeAt, readFees } from "./fees.ts";
import type { Services } from "./round.ts";
import { readSetting } from "../store/settings.ts";

export async function describeMarket(services: Services): Promise<MarketInfo> {
  const { store, config, market, log, now } = services;
  const [settings, witnesses] = await Promise.all([store.load("setting", ["fees", "referees"]), witnessesOf(services)]);
  const at = now();
  const fees = readFees(settings.get("fees")?.data.value);
  const next = fees.find(({ effectiveAt }) => effectiveAt > at);
  return {
    ...market,
    currency: config.currency,
    log: log.seen,
    feeBasisPoints: feeAt(fees, at)?.basisPoints ?? 0,
    announcedFee: next ? { basisPoints: next.basisPoints, effectiveAt: next.effectiveAt } : null,
    referees: refereesAt(readSetting("referees", settings.get("referees")), Number.MAX_SAFE_INTEGER),
    witnesses,
    mergeDelayMs: config.mergeDelayMs,
    timings: config.timings,
    protocol: PROTOCOL_RANGE,
    now: at,
  };
}
