/**
 * Rows that are asked for in one turn are one question to the database, whatever their kinds. Where that fails each asks by itself, so that
 * what one names spoils nothing for others; a database that is lost is not asked again for that. Who controls the inputs: anyone (ids, read
 * beforehand as what they must be).
 */
import type { Pool } from "pg";
import { isLost } from "../lost.ts";
import type { EntityKind } from "../store.ts";

interface EntityRecord {
  kind: EntityKind;
  id: string;
  version: number;
  data: unknown;
}

interface Asked {
  kind: EntityKind;
  ids: readonly string[];
  answer: PromiseWithResolvers<EntityRecord[]>;
}

const LOAD = {
  name: "load",
  text: "select e.kind, e.id, e.version, e.data from unnest($1::text[], $2::text[]) as asked(kind, id) join entity e using (kind, id)",
};

export class RowsAsked {
  readonly #pool: Pool;
  #asked: Asked[] = [];

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  of(kind: EntityKind, ids: readonly string[]): Promise<EntityRecord[]> {
    if (this.#asked.length === 0) queueMicrotask(() => void this.#ask());
    const answer = Promise.withResolvers<EntityRecord[]>();
    this.#asked.push({ kind, ids, answer });
    return answer.promise;
  }

  async #ask(): Promise<void> {
    const asked = this.#asked;
    this.#asked = [];
    try {
      const rows = await this.#rows(asked);
      const given = new Set<EntityRecord>();
      // whoever asks may change what it gets, which nobody has done before this loop is over
      const own = (row: EntityRecord): EntityRecord => (given.has(row) ? structuredClone(row) : (given.add(row), row));
      for (const { kind, ids, answer } of asked) answer.resolve(ids.flatMap((id) => rows.get(`${kind} ${id}`) ?? []).map(own));
    } catch (error) {
      if (asked.length === 1 || isLost(error)) for (const { answer } of asked) answer.reject(error);
      else for (const one of asked) this.#rows([one]).then((rows) => one.answer.resolve([...rows.values()]), one.answer.reject);
    }
  }

  async #rows(asked: readonly Asked[]): Promise<Map<string, EntityRecord>> {
    const wanted = new Map(asked.flatMap(({ kind, ids }) => ids.map((id) => [`${kind} ${id}`, { kind, id }] as const)));
    if (wanted.size === 0) return new Map();
    const [kinds, ids] = [[...wanted.values()].map(({ kind }) => kind), [...wanted.values()].map(({ id }) => id)];
    const { rows } = await this.#pool.query<EntityRecord>({ ...LOAD, values: [kinds, ids] });
    return new Map(rows.map((row) => [`${row.kind} ${row.id}`, row]));
  }
}
