/** Hints from the database that there is something to read: they may be lost, and come too early. */
import type { Pool } from "pg";

/** Of events to whoever streams them; of notes to the market's other brokers. */
type Channel = "xeno_events" | "xeno_notes";

export async function hint(pool: Pool, channel: Channel): Promise<void> {
  await pool.query("select pg_notify($1, '')", [channel]);
}

/** Has `heard` called at each hint until it is stopped, or the connection is lost, which `lost` is told. */
export async function listen(pool: Pool, channel: Channel, heard: () => void, lost: () => void): Promise<() => void> {
  const client = await pool.connect();
  let open = true;
  const stop = (): void => {
    if (open) client.release(true);
    open = false;
  };
  const ended = (): void => {
    if (open) lost();
    stop();
  };
  client.on("notification", heard);
  client.once("error", ended);
  client.once("end", ended);
  try {
    await client.query(`listen ${channel}`);
  } catch (error) {
    stop();
    throw error;
  }
  return stop;
}
