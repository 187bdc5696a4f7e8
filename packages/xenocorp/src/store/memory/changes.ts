/** What is changed, and how it is read back. A change is applied whole or not at all, with the same results as the database gives. */
import type { ArchiveReader } from "../archived.ts";
import type { Change, CommitResult, Entities, EntityKind, LeaseRow, Put, Store, Versioned } from "../store.ts";
import { wholeFrom } from "./archive.ts";
import { unheld } from "./held.ts";
import type { Tables } from "./tables.ts";

function put<K extends EntityKind>(tables: Tables, { kind, id, expect, data }: Put<K>): void {
  const rows: Map<string, Versioned<Entities[K]>> = tables.rows[kind];
  rows.set(id, { version: expect + 1, data: structuredClone(data) });
}

function apply(tables: Tables, change: Change): CommitResult {
  const earlier = tables.answers.get(change.id);
  if (earlier !== undefined) return { status: "replayed", answer: earlier.answer };
  for (const { kind, id, expect } of change.puts)
    if ((tables.rows[kind].get(id)?.version ?? 0) !== expect) return { status: "conflict", what: `${kind} ${id}` };
  const taken = change.uniques.find((key) => tables.uniques.has(key));
  if (taken !== undefined) return { status: "id_reused", what: taken };
  const filed = change.documents.find(({ id }) => tables.documents.has(id));
  if (filed) return { status: "filed", what: filed.id };
  const what = unheld(change, tables.ledger);
  if (what !== null) return { status: "refused", what };
  const refusal = tables.ledger.apply(change.floors, change.transfers);
  if (refusal) return { status: "below_floor", key: refusal.key, missing: refusal.missing };
  const at = tables.clock();
  tables.answers.set(change.id, { answer: change.answer, at });
  for (const row of change.puts) put(tables, row);
  for (const key of change.uniques) tables.uniques.add(key);
  for (const transfer of change.transfers) tables.transfers.push({ ...transfer, at });
  for (const document of change.documents) {
    tables.documents.set(document.id, document);
    tables.pending.push(document);
  }
  for (const event of change.events) tables.events.push({ ...event, place: ++tables.eventsEver });
  return { status: "applied", answer: change.answer };
}

type Changes = Pick<Store, "now" | "beat" | "heardAt" | "load" | "commit" | "answerTo" | "dropAnswers">;

export const memoryChanges = (tables: Tables, archive: ArchiveReader): Changes => ({
  now: async () => tables.clock(),
  async beat(at) {
    tables.lastBeat = Math.max(at, tables.lastBeat ?? at);
  },
  heardAt: async () => tables.lastBeat,
  async load<K extends EntityKind>(kind: K, ids: readonly string[]) {
    const found = new Map<string, Versioned<Entities[K]>>();
    for (const id of ids) {
      const row = tables.rows[kind].get(id);
      if (row) found.set(id, structuredClone(row));
    }
    if (kind !== "lease") return found;
    const leases = [...found.values()].map(({ data }) => data as LeaseRow);
    const { whole, problem } = await wholeFrom(tables, archive, leases);
    if (problem) throw problem;
    for (const [i, [id, { version }]] of [...found].entries()) found.set(id, { version, data: whole[i] as Entities[K] });
    return found;
  },
  commit: async (changes) => changes.map((change) => apply(tables, change)),
  answerTo: async (id) => tables.answers.get(id)?.answer ?? null,
  async dropAnswers(before, limit) {
    const old: string[] = [];
    for (const [id, { at }] of tables.answers) {
      if (at >= before || old.length === limit) break; // they came in the order of their time
      old.push(id);
    }
    for (const id of old) tables.answers.delete(id);
    return old.length;
  },
});
