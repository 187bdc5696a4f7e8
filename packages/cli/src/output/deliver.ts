/** Brings a lease's results to this machine: files, the receipt for offline use, and the exit code shells expect. */
import path from "node:path";
import type { EndReason } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { fetchReceipt, writeTree, type LeaseSession, type MarketClient, type SourceEntry } from "@xenoservers/sdk";
import { home, writePrivate } from "../input/home.ts";
import type { SharedFolder } from "../input/job-from-args.ts";
import { EXIT, say, yellow } from "./ui.ts";

export const receiptFile = (lease: string): string => path.join(home.receipts, `${lease}.json`);

export async function keepReceipt(client: MarketClient, lease: string, withinMs?: number): Promise<string> {
  const file = receiptFile(lease);
  await writePrivate(file, JSON.stringify(await fetchReceipt(client, lease, withinMs)));
  return file;
}

const below = (tree: readonly InputEntry[], mount: string): InputEntry[] =>
  tree.filter((entry) => entry.path.startsWith(`${mount.slice(1)}/`)).map((entry) => ({ ...entry, path: entry.path.slice(mount.length) }));

/** Writes what came back; files that are not wanted here stay at the server for a while. */
export async function writeResults(
  tree: readonly InputEntry[],
  fetch: (entry: Extract<InputEntry, { kind: "file" }>) => Promise<Uint8Array>,
  out: string | undefined,
  shared: readonly SharedFolder[],
): Promise<void> {
  const targets: [string, string, readonly SourceEntry[]][] = shared.map(({ host, guest, before }) => [host, guest, before]);
  if (out !== undefined) targets.push([out, "/out", []]);
  for (const [host, guest, before] of targets) {
    const skipped = await writeTree(host, below(tree, guest), { fetch, before });
    for (const why of skipped) say(yellow(`left out  ${host}/${why}`));
  }
}

export function unfetched(tree: readonly InputEntry[], out: string | undefined): number {
  return out === undefined ? below(tree, "/out").filter(({ kind }) => kind === "file").length : 0;
}

export async function fetchInto(session: LeaseSession, out: string | undefined, shared: readonly SharedFolder[]): Promise<InputEntry[]> {
  const delivered = await session.delivered();
  if (!delivered) return [];
  await writeResults(delivered.tree, (entry) => session.fetch(entry), out, shared);
  return delivered.tree;
}

const EXIT_OF: Record<Exclude<EndReason, "completed">, number> = {
  "segment-end": EXIT.xeno,
  "time-limit": EXIT.limit,
  budget: EXIT.limit,
  "fuel-limit": EXIT.limit,
  "memory-limit": EXIT.killed,
  "output-limit": EXIT.killed,
  "customer-stop": EXIT.interrupted,
  "module-malformed": EXIT.xeno,
  "image-refused": EXIT.xeno,
  "guest-panic": EXIT.killed,
  "vm-crashed": EXIT.xeno,
  "input-missing": EXIT.xeno,
  "owner-stop": EXIT.xeno,
  "server-failed": EXIT.xeno,
  "server-unreachable": EXIT.xeno,
  "not-accepted": EXIT.xeno,
  "not-started": EXIT.xeno,
  "not-revealed": EXIT.xeno,
  "broker-failed": EXIT.xeno,
};

/** The guest's own code; 124 time or budget, 125 xeno or the market, 130 interrupted, 137 killed. */
export function exitCodeOf({ end }: LeaseView): number {
  if (!end) return EXIT.xeno;
  return end.reason === "completed" ? (end.exitCode ?? EXIT.xeno) : EXIT_OF[end.reason];
}
