/**
 * What the broker keeps of what customers pay. A fee is announced in the log before it holds; a rise needs notice, so that nobody is
 * bound by one that it could not have seen. Who controls the input: the operator.
 */
import { FEE_NOTICE_MS } from "@xenoservers/market";
import { refuse, zEnvelope, type Json, type Verified } from "@xenoservers/protocol";
import { envelopeJson, planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";
import { z } from "zod";

const FEES = "fees";
const zAnnounced = z.array(z.strictObject({ basisPoints: z.int(), effectiveAt: z.int(), envelope: zEnvelope }));
export type AnnouncedFee = z.infer<typeof zAnnounced>[number];

/** As it stands in the setting's row, in the order in which they hold. */
export const readFees = (value: Json | undefined): AnnouncedFee[] => zAnnounced.parse(value ?? []);

export async function feesOf(round: Round): Promise<AnnouncedFee[]> {
  return readFees((await round.get("setting", FEES))?.data.value);
}

/** In force at a time; null: the broker keeps nothing. */
export const feeAt = (fees: readonly AnnouncedFee[], at: number): AnnouncedFee | null =>
  fees.findLast(({ effectiveAt }) => effectiveAt <= at) ?? null;

/** The first fee of a market binds nobody yet, and a lower one harms nobody: both may hold at once. */
export async function announceFee(round: Round, document: Verified<"fee">): Promise<Outcome> {
  const { basisPoints, effectiveAt, clientId } = document.payload;
  const row = await round.get("setting", FEES);
  const known = await feesOf(round);
  const last = known.at(-1);
  const needsNotice = last !== undefined && basisPoints > last.basisPoints;
  const earliest = Math.max(needsNotice ? round.at + FEE_NOTICE_MS : 0, last?.effectiveAt ?? 0);
  if (effectiveAt < earliest)
    return refuse("too_early", { why: "a higher fee is announced a day before it holds, and none before the last one", earliest });
  const value = [
    ...known.filter((fee) => fee === feeAt(known, round.at) || fee.effectiveAt > round.at),
    { basisPoints, effectiveAt, envelope: document.envelope },
  ];
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    uniques: [`operator/${clientId}`],
    puts: [{ kind: "setting", id: FEES, expect: row?.version ?? 0, data: { id: FEES, value: value.map(asJson) } }],
  });
}

const asJson = ({ basisPoints, effectiveAt, envelope }: AnnouncedFee): { [key: string]: Json } => ({
  basisPoints,
  effectiveAt,
  envelope: envelopeJson(envelope),
});
