/**
 * The archive in a backup: each receipt and each file of rows as it lies there, compressed, a line after those of the tables. Restored,
 * it lies where the folder has it already, or is added in a file of its own. Who controls the inputs: whoever handed over the backup; what
 * it holds is compared with the digests in its rows.
 */
import { createHash } from "node:crypto";
import { jsonIn } from "@xenoservers/protocol";
import type { PoolClient } from "pg";
import { z } from "zod";
import type { ArchivePlace } from "../store/archived.ts";
import type { ArchiveFolder } from "./archive-folder.ts";

/** The name of such lines. */
export const RECEIPT_LINE = "receipt";
export const ROWS_LINE = "rows";
const PART = 100;
const zReceiptLine = z.object({ lease: z.string(), packed: z.base64() });
const zRowsLine = z.object({ digest: z.string(), packed: z.base64() });
type Placed = ArchivePlace & { lease: string };
type Row = Omit<Placed, "start"> & { start: string };

const placed = (row: Row): Placed => ({ ...row, start: Number(row.start) });
const PLACES = "select lease, file, start, bytes, digest from archived";

/** In the snapshot of this transaction. Throws where one cannot be read, or is not what was written. */
export async function* receiptLines(client: PoolClient, folder: ArchiveFolder): AsyncGenerator<string> {
  await client.query(`declare places cursor for ${PLACES} order by file, start`);
  for (;;) {
    const { rows } = await client.query<Row>(`fetch ${PART} from places`);
    for (const row of rows) {
      const packed = (await folder.packed(placed(row))).toString("base64");
      yield `${JSON.stringify(RECEIPT_LINE)}\t${JSON.stringify({ lease: row.lease, packed })}\n`;
    }
    if (rows.length < PART) break;
  }
  await client.query("close places");
}

/** The files of rows, as `receiptLines`. */
export async function* rowFileLines(client: PoolClient, folder: ArchiveFolder): AsyncGenerator<string> {
  const { rows } = await client.query<{ digest: string }>(
    "select distinct row_file as digest from archived where row_file is not null order by 1",
  );
  for (const { digest } of rows) {
    const packed = (await folder.rowFile(digest)).toString("base64");
    yield `${JSON.stringify(ROWS_LINE)}\t${JSON.stringify({ digest, packed })}\n`;
  }
}

/** One line of a backup: its name says what is in it. */
export async function restoreRowFile(folder: ArchiveFolder, line: string): Promise<void> {
  const { digest, packed } = zRowsLine.parse(jsonIn(line));
  const added = await folder.addRowFile(Buffer.from(packed, "base64"));
  if (added !== digest) throw new Error(`a file of rows in this backup is not ${digest}, as it says`);
}

/** One line of a backup, whose row is in the database already. */
export async function restoreReceipt(client: PoolClient, folder: ArchiveFolder, line: string, now: number): Promise<void> {
  const { lease, packed } = zReceiptLine.parse(jsonIn(line));
  const bytes = Buffer.from(packed, "base64");
  const { rows } = await client.query<Row>(`${PLACES} where lease = $1`, [lease]);
  const place = rows[0] && placed(rows[0]);
  if (!place || createHash("sha256").update(bytes).digest("hex") !== place.digest)
    throw new Error(`the receipt of lease ${lease} in this backup is not the one of its row`);
  const isThere = await folder.packed(place).then(
    () => true,
    () => false,
  );
  if (isThere) return;
  const { file, start } = await folder.add(bytes, now);
  await client.query("update archived set file = $2, start = $3 where lease = $1", [lease, file, start]);
}
