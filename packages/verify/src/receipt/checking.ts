/** What every check of a receipt looks at. */
import type { Receipt, Witness } from "@xenoservers/protocol";
import type { ReExecuted } from "../judging/re-execution.ts";
import type { Told } from "./told.ts";

/** What running a job again here came to. */
export interface OwnRun extends ReExecuted {
  /** Of the job that was run: of any other it says nothing. */
  jobHash: string;
}

export interface OwnFacts {
  /** The verifier's own order key: a receipt for somebody else's order is then a failure. */
  customerKey?: string;
  /** Who the verifier is: an order of another party is then said to be that party's. */
  party?: string;
  /** What the verifier received, to compare with the result manifest. */
  outputDigest?: string;
  /** Whose cosignatures count; log facts are proved when more than half of them signed. */
  witnesses?: readonly Witness[];
  /** Proves the result right, or wrong, where it is of the job that was ordered. */
  reExecuted?: OwnRun;
  /** Ids of documents of this lease that the verifier has signed or was sent: a receipt that lacks one of them is a failure. */
  documents?: readonly string[];
}

export interface Checking {
  receipt: Pick<Receipt, "lease">;
  told: Told;
  own: OwnFacts;
  /** Enough witnesses have cosigned what the log says. */
  isLogProved: boolean;
}

/** The verifier's own run of the very job that was ordered; null where there is none. */
export function ownRun({ told, own }: Checking): ReExecuted | null {
  return own.reExecuted && own.reExecuted.jobHash === told.lease?.jobHash ? own.reExecuted : null;
}
