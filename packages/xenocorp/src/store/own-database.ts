/**
 * The PostgreSQL that a broker brings along, as its log and `/readyz` tell of it: why it ended by itself, and that it is there again. Who
 * controls the input: PostgreSQL's own words, of which strangers are told none.
 */
import type { Faults } from "@xenoservers/protocol/faults";
import type { EmbeddedPostgres } from "./embedded.ts";
import { DISK_IS_FULL } from "./lost.ts";

const ENDED = "the database ended by itself, and is started again until it stays";

export interface OwnDatabase {
  /** It was asked, and answered. */
  answered(): void;
  /** It was asked, and did not answer. */
  unanswered(): Promise<void>;
  /** Why it did not, in words for strangers. */
  readonly silence: string;
}

/** `embedded`: null where the database is the operator's own. */
export function watchOwnDatabase(embedded: Pick<EmbeddedPostgres, "onEnd" | "unanswered"> | null, faults: Faults): OwnDatabase {
  let isFull = false;
  embedded?.onEnd(({ why, isFull: full }) => {
    isFull = full;
    faults.failed(ENDED, new Error(why));
  });
  return {
    answered() {
      isFull = false;
      faults.worked(ENDED);
    },
    async unanswered() {
      await embedded?.unanswered();
    },
    get silence() {
      return isFull ? DISK_IS_FULL : "the database does not answer";
    },
  };
}
