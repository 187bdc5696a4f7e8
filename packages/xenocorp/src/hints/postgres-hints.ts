/**
 * Hints by the database itself (`NOTIFY`), each a statement of its own: in a commit it would take the database's one lock for them. Who
 * controls the inputs: whoever may connect to the database. Bounds: one statement at a time and channel, and a pause after it.
 */
import { systemTimers, type Timers } from "@xenoservers/protocol/link";
import type { Pool } from "pg";
import { HINT_PAUSE_MS, type Channel, type Hints } from "./hints.ts";
import { Pace } from "./pace.ts";

const NAMES: Readonly<Record<Channel, string>> = { events: "xeno_events", notes: "xeno_notes" };

async function listen(pool: Pool, channel: Channel, hearing: Pace, lost: () => void): Promise<() => void> {
  const client = await pool.connect();
  let open = true;
  const stop = (): void => {
    hearing.stop();
    if (open) client.release(true);
    open = false;
  };
  const ended = (): void => {
    if (open) lost();
    stop();
  };
  client.on("notification", () => hearing.ask());
  client.once("error", ended);
  client.once("end", ended);
  try {
    await client.query(`listen ${NAMES[channel]}`);
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}

export function postgresHints(pool: Pool, timers: Timers = systemTimers): Hints {
  const telling = (channel: Channel): Pace =>
    new Pace(async () => void (await pool.query("select pg_notify($1, '')", [NAMES[channel]])), timers, HINT_PAUSE_MS);
  const paces: Record<Channel, Pace> = { events: telling("events"), notes: telling("notes") };
  return {
    hint: (channel) => paces[channel].ask(),
    listen: (channel, heard, lost) => listen(pool, channel, new Pace(heard, timers, HINT_PAUSE_MS), lost),
    async close() {
      for (const pace of Object.values(paces)) pace.stop();
    },
  };
}
