/** Evidence files: what convicts a party by signatures alone. Who controls the input: whoever hands over the file. */
import { z } from "zod";
import { zKey } from "./documents.ts";

const NOTE_CHARS_MAX = 4_000;

export const EVIDENCE_FORMAT = "xenoservers-evidence-1";

/** Two checkpoints of one log and size with different roots. */
export const zEvidence = z.strictObject({
  format: z.literal(EVIDENCE_FORMAT),
  kind: z.literal("fork"),
  /** The broker's log key. */
  key: zKey,
  first: z.string().max(NOTE_CHARS_MAX),
  second: z.string().max(NOTE_CHARS_MAX),
});
export type Evidence = z.infer<typeof zEvidence>;
