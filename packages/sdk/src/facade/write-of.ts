/** Where a job's files come to. */
import type { FilesPlace } from "./here.ts";

/** Null: the program wants what comes back. */
export const writeOf = ({ files, write }: FilesPlace): FilesPlace["write"] | null => (files === "held" ? null : write);
