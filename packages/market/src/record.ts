/** An owner's record: what the market knows of how its leases ended. Counts only; who reads it decides what they mean. */
import { TERMS, type EndReason } from "./lease/terms.ts";

export interface OwnerRecord {
  leases: number;
  completed: number;
  ownerFailures: number;
  /** Results that a referee proved wrong. */
  convicted: number;
  /** Results that were drawn for an audit and that a referee found right, since the last one that was proved wrong. */
  audited: number;
}

/** What a referee said of a lease's result, if one was asked. */
export type Judgement = "none" | "right" | "wrong";

export const EMPTY_RECORD: OwnerRecord = { leases: 0, completed: 0, ownerFailures: 0, convicted: 0, audited: 0 };

/** Only what the log drew improves a record: nobody makes itself one by asking for audits. */
function auditedAfter(before: number, audited: boolean | null, judgement: Judgement): number {
  if (judgement === "wrong") return 0;
  return before + (judgement === "right" && audited === true ? 1 : 0);
}

/** What a verdict took from a record, for whoever may overturn it. */
export type BeforeVerdict = Pick<OwnerRecord, "convicted" | "audited">;

/**
 * A verdict was overturned: the record is as if the first referee had come to that. Of an owner that was convicted again meanwhile the
 * right audits do not come back: that verdict has begun them anew.
 */
export function recordCorrected(record: OwnerRecord, audited: boolean | null, before: BeforeVerdict): OwnerRecord {
  const isOnly = record.convicted === before.convicted + 1;
  const since = record.audited + (isOnly ? before.audited : 0);
  return { ...record, convicted: record.convicted - 1, audited: auditedAfter(since, audited, "right") };
}

export function recordAfter(
  record: OwnerRecord,
  { reason, audited }: { reason: EndReason; audited: boolean | null },
  judgement: Judgement,
): OwnerRecord {
  return {
    leases: record.leases + 1,
    completed: record.completed + (TERMS[reason].record === "kept" ? 1 : 0),
    ownerFailures: record.ownerFailures + (TERMS[reason].record === "failed" ? 1 : 0),
    convicted: record.convicted + (judgement === "wrong" ? 1 : 0),
    audited: auditedAfter(record.audited, audited, judgement),
  };
}
