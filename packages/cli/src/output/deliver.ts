/** Brings a lease's results to this machine: files, the receipt for offline use, and the exit code shells expect. */
import path from "node:path";
import { TERMS, type EndReason, type TermsRow } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { writeWhole } from "@xenoservers/protocol/files";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { fetchReceipt, writeTree, type Delivered, type MarketClient, type SessionHandlers, type TreeFile } from "@xenoservers/sdk";
import { home } from "../input/home.ts";
import type { SharedFolder } from "../input/job-from-args.ts";
import { say, yellow } from "./terminal.ts";
import { EXIT } from "./ui.ts";

const receiptFile = (lease: string): string => path.join(home.receipts, `${lease}.json`);

export async function keepReceipt(client: MarketClient, lease: string, withinMs?: number): Promise<string> {
  const file = receiptFile(lease);
  await writeWhole(file, JSON.stringify(await fetchReceipt(client, lease, withinMs)));
  return file;
}

const below = (tree: readonly InputEntry[], mount: string): InputEntry[] =>
  tree.filter((entry) => entry.path.startsWith(`${mount.slice(1)}/`)).map((entry) => ({ ...entry, path: entry.path.slice(mount.length) }));

/** Writes what came back; files that are not wanted here stay at the server for a while. */
export async function writeResults(
  tree: readonly InputEntry[],
  fetch: (entry: TreeFile) => Promise<Uint8Array>,
  out: string | null,
  shared: readonly SharedFolder[],
): Promise<void> {
  const leftOut = (host: string, lines: readonly string[]): void => lines.forEach((why) => say(yellow(`left out  ${host}/${why}`)));
  for (const { host, guest, before } of shared) leftOut(host, await writeTree(host, below(tree, guest), { fetch, before }));
  if (out !== null) leftOut(out, await writeTree(out, below(tree, "/out"), { fetch }));
}

/** Takes a result's files before it is receipted. */
export const taking = (out: string | null, shared: readonly SharedFolder[]): NonNullable<SessionHandlers["onResult"]> => {
  return ({ tree }, session) => writeResults(tree, (entry) => session.fetch(entry), out, shared);
};

export function filesIn(tree: readonly InputEntry[]): number {
  return below(tree, "/out").filter(({ kind }) => kind === "file").length;
}

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
export function exitCodeWith(lease: Pick<LeaseView, "end">, delivered: Delivered | null): number {
  const missing = (lease.end?.result ?? null) !== null && delivered === null && TERMS[lease.end?.reason ?? "completed"].ran;
  const code = exitCodeOf(lease);
  return missing && code === 0 ? EXIT.xeno : code;
}
