/** What every check of a receipt looks at. */
import type { Receipt, Witness } from "@xenoservers/protocol";
import type { ReExecuted } from "../judging/re-execution.ts";
import type { Told } from "./told.ts";

export interface OwnFacts {
  /** The verifier's own order key: a receipt for somebody else's order is then a failure. */
  customerKey?: string;
  /** Who the verifier is: an order of another party is then said to be that party's. */
  party?: string;
  /** What the verifier received, to compare with the result manifest. */
  outputDigest?: string;
  /** Whose cosignatures count; log facts are proved when more than half of them signed. */
  witnesses?: readonly Witness[];
  /** What running the job again here came to: proves the result right, or wrong. */
  reExecuted?: ReExecuted;
  /** Ids of documents of this lease that the verifier has signed or was sent: a receipt that lacks one of them is a failure. */
  documents?: readonly string[];
}

export interface Checking {
  receipt: Receipt;
  told: Told;
  own: OwnFacts;
  /** Enough witnesses have cosigned what the log says. */
  isLogProved: boolean;
}
