/**
 * The time since its end of a job that ended while no daemon listened. The guest alone knows when that was: it is believed for the time in
 * which nobody was there to know better, and for no other. Who controls the inputs: the guest (what it says), the host (all else).
 */

/** How long ago the job ended, as the guest says: with nothing behind it. */
export interface SaidAgo {
  agoMs: number;
  /** When its end was heard, by this host's monotonic clock. */
  heardMs: number;
}

/** Nobody listened to a machine in between; by the host's monotonic clock. */
export interface Away {
  /** The last moment at which the daemon before is known to have followed it. */
  fromMs: number;
  toMs: number;
}

/** One that has ended says so as soon as it is heard, at most so much later; one that says it later ran until then. */
const SAYS_WITHIN_MS = 60_000;

export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** How much of the time in which nobody listened the job had ended. Null: it does not say; there was no such time. */
export function unheardMs(said: SaidAgo | null, away: Away | null): number {
  if (said === null || away === null || said.heardMs - away.toMs > SAYS_WITHIN_MS) return 0;
  const endedMs = Math.min(said.heardMs, said.heardMs - said.agoMs);
  return Math.max(0, away.toMs - Math.max(away.fromMs, endedMs));
}
