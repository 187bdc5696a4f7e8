/**
 * Whether a broker was there to hear. Every broker says so about once a second; whoever finds that none did for longer than a moment
 * files the gap before anything else is done, and every deadline that ran in it stretches by as much (PROTOCOL section 3). Who controls
 * the inputs: nobody but the clock and the database.
 */
import { gap as foldGap, invariant, type Lease } from "@xenoservers/market";
import type { Json } from "@xenoservers/protocol";
import { readSetting, type Setting } from "../store/settings.ts";
import { issue, planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

/** A shorter silence is a busy machine's, and far below every grace. */
export const GAP_MIN_MS = 5_000;
const BEAT_EVERY_MS = 1_000;
/** Older ones lie before every lease that can still be alive. */
const GAPS_MAX = 1_000;
const GAPS = "gaps";

type KnownGap = Setting<"gaps">[number];

/** Whether it is time to say again that this broker hears. `beatAt`: when it last did, in broker time. */
export const isBeatDue = (beatAt: number | null, now: number): boolean => beatAt === null || now - beatAt >= BEAT_EVERY_MS;

export async function gapsOf(round: Round): Promise<readonly KnownGap[]> {
  const row = await round.get("setting", GAPS);
  return readSetting("gaps", row);
}

/** Files the gap between when a broker last heard and now; null where another broker was first. */
export async function fileGap(round: Round, heardAt: number): Promise<Outcome | null> {
  const row = await round.get("setting", GAPS);
  const known = await gapsOf(round);
  const from = Math.max(heardAt, known.at(-1)?.to ?? heardAt);
  const to = round.at;
  if (to - from < GAP_MIN_MS) return null;
  const document = issue(round, "gap", { from, to });
  const value: Json = [...known, { id: document.id, from, to }]
    .slice(-GAPS_MAX)
    .map(({ id, from: since, to: until }) => ({ id, from: since, to: until }));
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    puts: [{ kind: "setting", id: GAPS, expect: row?.version ?? 0, data: { id: GAPS, value } }],
  });
}

/** The lease with every gap that it has lived through. */
export function withGaps<L extends Lease>(lease: L, gaps: readonly KnownGap[]): L {
  let folded: Lease = lease;
  for (const { id, from, to } of gaps) {
    if (to <= lease.issuedAt || lease.gaps.some((known) => known.from === from)) continue;
    const next = foldGap(folded, { kind: "gap", id, at: to, signer: { by: "broker", key: "receipts" }, content: { from, to } });
    invariant(next.ok, "the broker's own gaps overlap");
    folded = next.lease;
  }
  return folded === lease ? lease : { ...lease, ...folded };
}
