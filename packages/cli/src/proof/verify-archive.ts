/**
 * `xeno verify` of a file of a market's archive: every receipt in it, one after the other, nothing of it on the disk. Who controls the
 * inputs: whoever handed over the file, every byte of it.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { zArchivedRow, type MarketPins, type Witness } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type Line } from "@xenoservers/verify";
import { green, print, printJson, red, say } from "../output/terminal.ts";
import { UserError, countOf } from "../output/ui.ts";
import { linesOf, type Ended } from "./archive-lines.ts";

export const isArchive = (file: string): boolean => file.endsWith(".ndjson.gz");

/** Files of rows are named by the digest of their bytes. */
const digestIn = (file: string): string | null => /^rows-([0-9a-f]{64})\.ndjson\.gz$/.exec(path.basename(file))?.[1] ?? null;

async function digestOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** After so many that do not hold, nothing more is learned from the rest. */
const BROKEN_MAX = 1_000;

interface Verified {
  lease: string;
  ok: boolean;
  proved: number;
  claimed: number;
  failed: readonly Pick<Line, "check" | "says">[];
}

function verifyLine(line: string, pins: MarketPins, witnesses: readonly Witness[]): Verified {
  let receipt: unknown;
  try {
    receipt = JSON.parse(line);
  } catch {
    return { lease: "", ok: false, proved: 0, claimed: 0, failed: [{ check: "file", says: "a line of it is no JSON" }] };
  }
  const { ok, lines } = verifyReceipt(nodeCrypto, pins, receipt, { witnesses });
  const of = (status: Line["status"]) => lines.filter((each) => each.status === status);
  const lease = typeof receipt === "object" && receipt !== null && "lease" in receipt ? String(receipt.lease) : "";
  const failed = of("failed").map(({ check, says }) => ({ check, says }));
  return { lease, ok, proved: of("proved").length, claimed: of("claimed").length, failed };
}

function show({ lease, ok, proved, claimed, failed }: Verified): void {
  const why = failed.map(({ check, says }) => `${check}: ${says}`).join("; ");
  print(ok ? `${green("holds  ")}  ${lease}  ${proved} lines proved, ${claimed} claimed` : `${red("FAILED ")}  ${lease}  ${why}`);
}

/** A file of rows: whole, and what its broker wrote. Nothing in it is signed: what is proved of a lease stands in its receipt. */
async function verifyRows(file: string, digest: string, json: boolean): Promise<void> {
  const ended: Ended = { problem: null };
  let count = 0;
  for await (const line of linesOf(file, ended)) {
    const row = rowIn(line);
    if (row === null) {
      ended.problem = `line ${count + 1} is no row of a lease`;
      break;
    }
    count++;
    if (json) printJson(row);
    else print(`row      ${row.lease}  ${row.state}`);
  }
  if (ended.problem === null && (await digestOf(file)) !== digest) ended.problem = "it is not what its name says: its digest is another";
  if (ended.problem !== null) {
    process.exitCode = 1;
    return say(`after ${countOf(count, "row")} the file is not whole: ${ended.problem}`);
  }
  if (!json) say(`${countOf(count, "row")}, as their broker wrote them; nothing in a row is signed: receipts prove a lease`);
}

function rowIn(line: string): { lease: string; state: string } | null {
  try {
    const { lease, row } = zArchivedRow.parse(JSON.parse(line));
    return lease === row.id ? { lease, state: row.state } : null;
  } catch {
    return null;
  }
}

/** Exit code 1 where a receipt does not hold, or the file is not whole. */
export async function verifyArchive(
  file: string,
  pins: MarketPins,
  { json, witnesses }: { json: boolean; witnesses: readonly Witness[] },
): Promise<void> {
  const digest = digestIn(file);
  if (digest !== null) return verifyRows(file, digest, json);
  const ended: Ended = { problem: null };
  let [count, broken] = [0, 0];
  for await (const line of linesOf(file, ended)) {
    const verified = verifyLine(line, pins, witnesses);
    count++;
    if (!verified.ok) broken++;
    if (json) printJson(verified);
    else show(verified);
    if (broken >= BROKEN_MAX) {
      ended.problem = `${countOf(broken, "receipt")} do not hold: the rest was not looked at`;
      break;
    }
  }
  if (count === 0 && ended.problem !== null) throw new UserError(`${file} is no archive: ${ended.problem}`, 1);
  if (ended.problem !== null) say(`after ${countOf(count, "receipt")} the file is not whole: ${ended.problem}`);
  if (broken > 0 || ended.problem !== null) process.exitCode = 1;
  if (!json)
    say(broken === 0 ? `nothing in ${countOf(count, "receipt")} is wrong` : `${broken} of ${countOf(count, "receipt")} do NOT hold`);
}
