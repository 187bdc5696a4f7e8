/**
 * What the database keeps of the brokers that serve one market: who runs, who holds which server's link, what the others are to be told,
 * who does what only one may do. Who controls the inputs: the market's own brokers, and whoever else may write to their database.
 */
import type { ClockReading } from "@xenoservers/market";
import type { Pool } from "pg";
import type { MarketEvent, Note } from "../store/store.ts";
import { only, sqlOf } from "../store/postgres/sql.ts";

const BEAT = { name: "fleet-beat", text: sqlOf("fleet-beat") };
const NOTES = { name: "fleet-notes", text: sqlOf("fleet-notes") };
const ROUTES = sqlOf("fleet-routes");
const TIDY = sqlOf("fleet-tidy");
const DUTY = { name: "fleet-duty", text: sqlOf("fleet-duty") };

interface OtherBroker {
  id: string;
  /** HOST:PORT where other brokers reach it; null: nowhere. */
  address: string | null;
  /** Since it last said that it runs. */
  silentMs: number;
}

export interface Beat {
  /** It was not known to run before. */
  isNew: boolean;
  /** All notes before this transaction are read. */
  read: string;
  others: OtherBroker[];
}

/** Where a reader of notes is. */
export interface NotePlace {
  xid: string;
  seq: string;
}

export interface ReadNote extends NotePlace {
  id: string;
  broker: string;
  notes: Note[];
  events: MarketEvent[];
}

export interface LinkMark {
  server: string;
  /** Which of its broker's links in turn. */
  link: number;
  /** The server's, as it was measured when it logged in. */
  clock: ClockReading;
}

export interface Route {
  server: string;
  broker: string;
  /** Null where a broker of an earlier version holds the link. */
  clock: ClockReading | null;
}

export class FleetStore {
  readonly #pool: Pool;

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** Says that this broker runs. `read`: null on its first beat. */
  async beat(id: string, address: string | null, read: string | null): Promise<Beat> {
    return only((await this.#pool.query<Beat>({ ...BEAT, values: [id, address, read] })).rows);
  }

  /** Its links and duties are anybody's at once. */
  async leave(id: string): Promise<void> {
    await this.#pool.query("update duty set until = 0 where broker = $1", [id]);
    await this.#pool.query("delete from broker where id = $1", [id]);
  }

  /** `owed`: which of its own notes it is to be given too. */
  async notesAfter(id: string, { xid, seq }: NotePlace, owed: readonly string[], limit: number): Promise<ReadNote[]> {
    return (await this.#pool.query<ReadNote>({ ...NOTES, values: [id, xid, seq, owed, limit] })).rows;
  }

  async writeRoutes(id: string, came: readonly LinkMark[], went: readonly LinkMark[]): Promise<void> {
    const notes = [...came, ...went].map(({ server }): Note => ({ about: "route", server }));
    await this.#pool.query(ROUTES, [id, JSON.stringify(came), JSON.stringify(went), JSON.stringify(notes)]);
  }

  /** Of these servers, or of all. */
  async routes(servers: readonly string[] | null): Promise<Route[]> {
    const { rows } = await this.#pool.query<Route>("select server, broker, clock from route where $1::text[] is null or server = any($1)", [
      servers,
    ]);
    return rows;
  }

  /** Returns the brokers that were found to be gone. `turnsBefore`: in broker time. */
  async tidy(id: string, silentMsMax: number, turnsBefore: number): Promise<string[]> {
    return (await this.#pool.query<{ id: string }>(TIDY, [id, silentMsMax, turnsBefore])).rows.map((row) => row.id);
  }

  /** The term in which the broker has the duty for so long; null: another one has it. */
  async takeDuty(name: string, id: string, forMs: number): Promise<number | null> {
    const { rows } = await this.#pool.query<{ term: string }>({ ...DUTY, values: [name, id, forMs] });
    return rows[0] ? Number(rows[0].term) : null;
  }
}
