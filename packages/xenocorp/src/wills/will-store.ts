/**
 * What the database keeps of last wills: one for each lease, or order that waits, with the time from which on any broker may file it. Who
 * controls the inputs: the market's own brokers, which have checked what customers say.
 */
import type { Envelope } from "@xenoservers/protocol";
import type { Pool, QueryConfig, QueryResult, QueryResultRow } from "pg";

export interface Will {
  /** The lease, or the order that waits. */
  of: string;
  party: string;
  /** Whose signature it has. */
  key: string;
  envelope: Envelope;
}

const KEEP = `insert into will (lease, party, key, envelope, due)
  select $1, $2, $3, $4::jsonb, $5::bigint where (select count(*) from will where party = $2 and lease <> $1) < $6
  on conflict (lease) do update set party = excluded.party, key = excluded.key, envelope = excluded.envelope, due = excluded.due
  returning lease`;
/** In one order, so that two brokers that put off the same ones wait for each other and no longer. */
const PUT_OFF = `with there as (select lease from will where lease = any($1) order by lease for update)
  update will set due = $2 from there where will.lease = there.lease returning will.lease`;
const TAKE_DUE = `update will set due = $2
  where lease in (select lease from will where due <= $1 order by due limit $3 for update skip locked)
  returning lease as of, party, key, envelope`;
const DROP_OVER = `delete from will where ($2::text is null or party = $2) and not exists
  (select 1 from entity where kind in ('lease', 'order') and id = will.lease
    and case kind when 'lease' then data->>'state' = any($1) else data->'waiting' <> 'null'::jsonb end)`;

/** A database that says nothing is away for whoever has to be sent to another broker in time. */
const ANSWER_MS = 5_000;

export class WillStore {
  readonly #pool: Pool;

  readonly #answerMs: number;

  constructor(pool: Pool, answerMs = ANSWER_MS) {
    this.#answerMs = answerMs;
    this.#pool = pool;
  }

  /** In place of an earlier one of the same; false: the party has `partyMax` others. */
  async keep({ of, party, key, envelope }: Will, due: number, partyMax: number): Promise<boolean> {
    return (await this.#pool.query(KEEP, [of, party, key, JSON.stringify(envelope), due, partyMax])).rows.length > 0;
  }

  async of(id: string): Promise<Will | null> {
    const { rows } = await this.#pool.query<Will>("select lease as of, party, key, envelope from will where lease = $1", [id]);
    return rows[0] ?? null;
  }

  async drop(id: string, key: string): Promise<void> {
    await this.#pool.query("delete from will where lease = $1 and key = $2", [id, key]);
  }

  /** They are not filed before `due`; returns those that are here. */
  async putOff(ids: readonly string[], due: number): Promise<string[]> {
    return (await this.#inTime<{ lease: string }>(PUT_OFF, [ids, due])).rows.map(({ lease }) => lease);
  }

  /** Those to be filed now, which no other broker takes before `again`: one that ends in between loses none. */
  async takeDue(now: number, again: number, limit: number): Promise<Will[]> {
    return (await this.#inTime<Will>(TAKE_DUE, [now, again, limit])).rows;
  }

  /** This party's, or everybody's, of leases in none of these states and of orders that wait no more; returns how many. */
  async dropOver(live: readonly string[], party: string | null): Promise<number> {
    return (await this.#inTime(DROP_OVER, [live, party])).rowCount ?? 0;
  }

  #inTime<Row extends QueryResultRow>(text: string, values: unknown[]): Promise<QueryResult<Row>> {
    const asked: QueryConfig & { query_timeout: number } = { text, values, query_timeout: this.#answerMs };
    return this.#pool.query<Row>(asked);
  }
}
