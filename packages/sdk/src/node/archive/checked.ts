/**
 * What a file of a market's archive holds, line by line, nothing of it on the disk: receipts, each of which is checked by itself, or rows
 * of leases, of which nothing is signed. Who controls the inputs: whoever handed over the file, every byte of it.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { zArchivedRow, type MarketPins, type Witness } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt, type Line } from "@xenoservers/verify";
import { InputError } from "../../errors.ts";
import { linesOf } from "./lines.ts";

/** After so many that do not hold, nothing more is learned from the rest. */
const BROKEN_MAX = 1_000;
const ROWS = /^rows-([0-9a-f]{64})\.ndjson\.gz$/;

/** One receipt of such a file. */
export interface CheckedReceipt {
  /** As the receipt says; empty where the line is none. */
  lease: string;
  /** Nothing in it is wrong. */
  ok: boolean;
  /** How many of its lines are proved, and how many one party's word. */
  proved: number;
  claimed: number;
  failed: readonly Pick<Line, "check" | "says">[];
}

/** One row: what the broker wrote of a lease. */
export interface ArchivedRow {
  lease: string;
  state: string;
}

export const isArchive = (file: string): boolean => file.endsWith(".ndjson.gz");
/** Files of rows are named by the digest of their bytes. */
export const isOfRows = (file: string): boolean => ROWS.test(path.basename(file));

function checked(line: string, pins: MarketPins, witnesses: readonly Witness[]): CheckedReceipt {
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

/** Each receipt in turn. Throws InputError, after what could be read of it, where the file is not whole. */
export async function* checkedReceipts(
  file: string,
  pins: MarketPins,
  witnesses: readonly Witness[],
): AsyncGenerator<CheckedReceipt, void> {
  let broken = 0;
  for await (const line of linesOf(file)) {
    const receipt = checked(line, pins, witnesses);
    yield receipt;
    if (!receipt.ok && ++broken >= BROKEN_MAX) throw new InputError(`${broken} receipts do not hold: the rest was not looked at`);
  }
}

function rowIn(line: string): ArchivedRow | null {
  try {
    const { lease, row } = zArchivedRow.parse(JSON.parse(line));
    return lease === row.id ? { lease, state: row.state } : null;
  } catch {
    return null;
  }
}

/** Each row in turn. Throws InputError, after what could be read of it, where the file is not whole, or not the one that it is named as. */
export async function* archivedRows(file: string): AsyncGenerator<ArchivedRow, void> {
  let count = 0;
  for await (const line of linesOf(file)) {
    const row = rowIn(line);
    count++;
    if (row === null) throw new InputError(`line ${count} is no row of a lease`);
    yield row;
  }
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  if (hash.digest("hex") !== ROWS.exec(path.basename(file))?.[1])
    throw new InputError("it is not what its name says: its digest is another");
}
