/** Whether what the database says of the archive lies there: every receipt and every row, read as whoever asks for them has them read. */
import type { Pool } from "pg";
import { ArchiveAway, type ArchivePlace, type RowPlace } from "../store/archived.ts";
import type { ArchiveFolder } from "./archive-folder.ts";

const PAGE = 500;
/** After so many nothing more is learned. */
const PROBLEMS_MAX = 100;
const PLACES = `
  select lease, file, start::int, bytes, digest, row_file, row_start, row_bytes, replace(row_digest::text, '-', '') as row_digest
    from archived where lease > $1 order by lease limit ${PAGE}`;

type Placed = ArchivePlace & { lease: string } & (
    | { row_file: string; row_start: number; row_bytes: number; row_digest: string }
    | { row_file: null }
  );

interface ArchiveCheck {
  /** Leases whose documents lie there, and those whose rows do. */
  receipts: number;
  rows: number;
  problems: string[];
}

/** `folder`: null: they are counted only. */
export async function checkArchive(pool: Pool, folder: ArchiveFolder | null): Promise<ArchiveCheck> {
  const found: ArchiveCheck = { receipts: 0, rows: 0, problems: [] };
  for (let after = ""; found.problems.length < PROBLEMS_MAX;) {
    const { rows: placed } = await pool.query<Placed>(PLACES, [after]);
    const rows = placed.flatMap(rowPlaceOf);
    found.receipts += placed.length;
    found.rows += rows.length;
    if (folder) found.problems.push(...(await problemsOf(folder, placed, rows)));
    if (placed.length < PAGE) break;
    after = placed.at(-1)?.lease ?? after;
  }
  return found;
}

const rowPlaceOf = (placed: Placed): RowPlace[] =>
  placed.row_file === null
    ? []
    : [{ lease: placed.lease, file: placed.row_file, start: placed.row_start, bytes: placed.row_bytes, digest: placed.row_digest }];

async function problemsOf(folder: ArchiveFolder, placed: readonly Placed[], rows: readonly RowPlace[]): Promise<string[]> {
  const problems: string[] = [];
  for (const place of placed)
    await folder.read(place).catch((error: unknown) => {
      if (!(error instanceof ArchiveAway)) throw error;
      problems.push(`receipt of lease ${place.lease}: ${error.message}`);
    });
  const read = await folder.readRows(rows);
  const missing = rows.filter(({ lease }) => !read.rows.has(lease));
  return [...problems, ...missing.map(({ lease }) => `row of lease ${lease}: ${read.problem?.message ?? "it is not there"}`)];
}
