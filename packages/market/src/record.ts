/** An owner's record: what the market knows of how its leases ended. Counts only; who reads it decides what they mean. */
import { TERMS, type EndReason } from "./lease/terms.ts";

export interface OwnerRecord {
  leases: number;
  completed: number;
  ownerFailures: number;
  /** Orders that were bound to its servers and that they did not accept in time; no leases. */
  missed: number;
  /** Results that a referee proved wrong. */
  convicted: number;
  /** Results that were drawn for an audit and that a referee found right, since the last one that was proved wrong. */
  audited: number;
}

/** What a referee said of a lease's result, if one was asked. */
export type Judgement = "none" | "right" | "wrong";

export const EMPTY_RECORD: OwnerRecord = { leases: 0, completed: 0, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 };

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

/** An order lapsed at one of its servers. */
export const recordMissed = (record: OwnerRecord): OwnerRecord => ({ ...record, missed: record.missed + 1 });

/** So many more orders may be missed than were completed. */
const MISSES_FORGIVEN = 2;
/** What an owner has staked at least where its stake speaks for it: one unit of the currency. */
const STAKE_THAT_SPEAKS_NANOS = 1_000_000_000n;

/** Whether what was missed outweighs what was completed: then whoever else can take an order takes it first. */
export const missesWeigh = ({ missed, completed }: OwnerRecord): boolean => missed > completed + MISSES_FORGIVEN;

/** Whether anything but an owner's own word speaks for it: a result that the log drew and a referee found right, or a stake. */
export const isVouchedFor = ({ audited }: OwnerRecord, stakedNanos: bigint): boolean =>
  audited > 0 || stakedNanos >= STAKE_THAT_SPEAKS_NANOS;

/** How a lease ended, as far as it concerns its owner's record. */
interface RecordedEnd {
  reason: EndReason;
  audited: boolean | null;
  dueNanos: string;
}

/** Whoever runs nothing until its customer gives up has kept nothing: an end by chance counts where something was paid for. */
const isKept = ({ reason, dueNanos }: RecordedEnd): boolean =>
  TERMS[reason].record === "kept" && (!TERMS[reason].byChance || dueNanos !== "0");

export function recordAfter(record: OwnerRecord, end: RecordedEnd, judgement: Judgement): OwnerRecord {
  const { reason, audited } = end;
  return {
    ...record,
    leases: record.leases + 1,
    completed: record.completed + (isKept(end) ? 1 : 0),
    ownerFailures: record.ownerFailures + (TERMS[reason].record === "failed" ? 1 : 0),
    convicted: record.convicted + (judgement === "wrong" ? 1 : 0),
    audited: auditedAfter(record.audited, audited, judgement),
  };
}
