/**
 * Hints between the brokers of one market that there is something to read. They may be lost, and come too early or for nothing: the tables
 * are the truth, and whoever reads them looks again and again without.
 */

/** Of events to whoever streams them; of notes to the market's other brokers. */
export type Channel = "events" | "notes";

export interface Hints {
  /** Tells whoever listens at another broker. It never waits and never fails; many at once are told once, and once more after a pause. */
  hint(channel: Channel): void;
  /**
   * Has `heard` called at hints, however many come at most about once in a pause, until it is stopped or the connection is lost, which
   * `lost` is told. Throws where nothing can be heard now.
   */
  listen(channel: Channel, heard: () => void, lost: () => void): Promise<() => void>;
  close(): Promise<void>;
}

/** Between two hints of a broker, and between two that it hears. */
export const HINT_PAUSE_MS = 20;
