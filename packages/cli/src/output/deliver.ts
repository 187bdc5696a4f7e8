/** Brings a lease's results to this machine, and the exit code shells expect. */
import { TERMS, type EndReason, type TermsRow } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { plannedOf, writeResults, type Planned, type SharedFolder, type TreeFile, type Work } from "@xenoservers/sdk";
import { say, yellow } from "./terminal.ts";
import { EXIT } from "./exit.ts";

const sayLeftOut = (what: string): void => say(yellow(`left out  ${what}`));

/** Writes what came back, and says what was left out. */
export const writeHere = (
  tree: readonly InputEntry[],
  fetch: (entry: TreeFile) => Promise<Uint8Array>,
  out: string | null,
  shared: readonly SharedFolder[],
): Promise<void> => writeResults(tree, { fetch, out, shared, leftOut: sayLeftOut });

/** As a market orders it: files that are not wanted here stay with the server. */
export const plannedHere = (work: Work, out: string | null): Planned => plannedOf(work, { out, left: true, leftOut: sayLeftOut });

/** `own`: the guest's. */
const SHELL_CODES: Record<Exclude<TermsRow["shell"], "own">, number> = {
  limit: EXIT.limit,
  killed: EXIT.killed,
  interrupted: EXIT.interrupted,
  market: EXIT.xeno,
};

/**
 * The guest's own code, also of one that ended when it was asked to; 124 time or budget, 125 xeno or the market, 130 interrupted, 137
 * killed.
 */
export function exitCodeFor({ reason, exitCode }: { reason: EndReason; exitCode: number | null }): number {
  const { shell } = TERMS[reason];
  if (shell === "own") return exitCode ?? EXIT.xeno;
  // a program that was asked to end says itself how it did
  return shell === "interrupted" ? (exitCode ?? SHELL_CODES[shell]) : SHELL_CODES[shell];
}

export const exitCodeOf = ({ end }: Pick<LeaseView, "end">): number => (end ? exitCodeFor(end) : EXIT.xeno);

/** A result that was paid and never came, or came as something else, is no success, whatever its exit code. */
export function exitCodeWith(lease: Pick<LeaseView, "end">, isDelivered: boolean): number {
  const missing = (lease.end?.result ?? null) !== null && !isDelivered && TERMS[lease.end?.reason ?? "completed"].ran;
  const code = exitCodeOf(lease);
  return missing && code === 0 ? EXIT.xeno : code;
}
