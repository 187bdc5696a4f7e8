/**
 * What is kept for a while only: events, and the answers that repeated documents are given. Dropped in small parts, so that nothing waits
 * for it; no document, leaf, row or movement of money is. ADR 38 says what rests on either.
 */
import type { Store } from "../store/store.ts";

export interface Retention {
  eventsMs: number;
  answersMs: number;
}

const DAY_MS = 86_400_000;
export const RETENTION_DEFAULTS: Retention = { eventsMs: 30 * DAY_MS, answersMs: 7 * DAY_MS };

const PART = 500;

/** Drops a part of what is too old; returns how much that was. */
export async function dropOld(store: Store, now: number, { eventsMs, answersMs }: Retention): Promise<number> {
  const [events, answers] = await Promise.all([store.dropEvents(now - eventsMs, PART), store.dropAnswers(now - answersMs, PART)]);
  return events + answers;
}
