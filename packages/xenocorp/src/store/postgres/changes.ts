/** What is changed, and how it is read back: all writing of the market goes through one function in the database. */
import type { Json } from "@xenoservers/protocol";
import type { Pool } from "pg";
import { wholeRows, type ArchiveReader } from "../archived.ts";
import type { Change, CommitResult, Entities, EntityKind, LeaseRow, Store, Versioned } from "../store.ts";
import { codeOf, isLost } from "../lost.ts";
import { rowPlaces } from "./archive.ts";
import { RowsAsked } from "./rows-asked.ts";
import { only, sqlOf } from "./sql.ts";

const DROP_ANSWERS = sqlOf("drop-answers");
const BEAT = { name: "beat", text: sqlOf("beat") };

/**
 * unique_violation, serialization_failure, deadlock_detected: another commit came first; trying again is safe because changes are
 * conditional.
 */
const RETRYABLE = new Set(["23505", "40001", "40P01"]);
const TRIES_MAX = 5;
/** A value that no column holds, a constraint, an index entry that is too large: one change of the batch cannot be held as it is. */
const REFUSED = /^(?:22|23|54)\w{3}$/;
/**
 * A commit whose connection is lost is asked again for about so long, while a database comes back or another host takes over: its changes
 * are done once by their ids, and answered as they were.
 */
const LOST_TRIES_MAX = 40;
const LOST_PAUSE_MS = 250;

type Commit = (changes: readonly Change[]) => Promise<CommitResult[]>;

/** Commits; what a lost connection leaves open is asked until it is answered. */
async function untilAnswered(commit: Commit, changes: readonly Change[]): Promise<CommitResult[]> {
  for (let tries = 1, lost = 1; ;) {
    try {
      return await commit(changes);
    } catch (error) {
      const code = codeOf(error);
      // of several, halves are tried again
      const isRace = RETRYABLE.has(code) && (changes.length === 1 || !REFUSED.test(code));
      const mayTry = isLost(error) ? ++lost <= LOST_TRIES_MAX : ++tries <= TRIES_MAX && isRace;
      if (!mayTry) throw error;
      if (isLost(error)) await new Promise((resolve) => setTimeout(resolve, LOST_PAUSE_MS));
    }
  }
}

/** A batch that the database refuses is committed in halves, in its order, down to the change that cannot be held. */
async function inParts(commit: Commit, changes: readonly Change[]): Promise<CommitResult[]> {
  try {
    return await untilAnswered(commit, changes);
  } catch (error) {
    if (!REFUSED.test(codeOf(error))) throw error;
    if (changes.length === 1) return [{ status: "refused", what: `${codeOf(error)}: ${(error as Error).message}` }];
    const middle = Math.ceil(changes.length / 2);
    const first = await inParts(commit, changes.slice(0, middle));
    return [...first, ...(await inParts(commit, changes.slice(middle)))];
  }
}

const wire = (changes: readonly Change[]): string =>
  JSON.stringify(changes, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value));

type Changes = Pick<Store, "now" | "beat" | "heardAt" | "load" | "commit" | "answerTo" | "dropAnswers">;

export const postgresChanges = (pool: Pool, archive: ArchiveReader, asked = new RowsAsked(pool)): Changes => ({
  async now() {
    const { rows } = await pool.query<{ now: string }>("select (extract(epoch from clock_timestamp()) * 1000)::bigint as now");
    return Number(only(rows).now);
  },
  async beat(at) {
    await pool.query({ ...BEAT, values: [at] });
  },
  async heardAt() {
    const { rows } = await pool.query<{ at: string }>("select at from hearing where one");
    return rows[0] ? Number(rows[0].at) : null;
  },
  async load<K extends EntityKind>(kind: K, ids: readonly string[]) {
    const rows = (await asked.of(kind, ids)) as { id: string; version: number; data: Entities[K] }[];
    const found = new Map<string, Versioned<Entities[K]>>(rows.map(({ id, version, data }) => [id, { version, data }]));
    if (kind !== "lease") return found;
    const leases = rows.map(({ data }) => data as LeaseRow);
    const { whole, problem } = await wholeRows(leases, archive, await rowPlaces(pool, leases));
    if (problem) throw problem;
    for (const [i, { id, version }] of rows.entries()) found.set(id, { version, data: whole[i] as Entities[K] });
    return found;
  },
  async commit(changes) {
    if (changes.length === 0) return [];
    const commit: Commit = async (some) => {
      const { rows } = await pool.query<{
        results: (Exclude<CommitResult, { status: "below_floor" }> | { status: "below_floor"; key: string; missing: string })[];
      }>({
        name: "commit",
        text: "select commit_once($1::jsonb) as results",
        values: [wire(some)],
      });
      return only(rows).results.map((result) =>
        result.status === "below_floor" ? { ...result, missing: BigInt(result.missing) } : result,
      );
    };
    return inParts(commit, changes);
  },
  async answerTo(id) {
    const { rows } = await pool.query<{ answer: Json }>("select answer from applied where id = $1", [id]);
    return rows[0]?.answer ?? null;
  },
  async dropAnswers(before, limit) {
    return (await pool.query(DROP_ANSWERS, [before, limit])).rowCount ?? 0;
  },
});
