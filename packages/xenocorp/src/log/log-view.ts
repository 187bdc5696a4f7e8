/**
 * What this broker last saw of its log: every document and promise that it signs says so. It goes forward only. A broker whose database
 * shows less than it saw, another root, or another epoch would contradict itself with the next thing it signs: it signs nothing more.
 * Who controls the input: the database, and whoever restores or replaces it.
 */
import { invariant } from "@xenoservers/market";
import type { LogState } from "@xenoservers/protocol";
import type { LogHead } from "../store/store.ts";

type Seen = Pick<LogHead, "id" | "size" | "root">;

const ROLLED_BACK =
  "find out what replaced the database. If what is missing is lost: stop every broker, `xeno broker backup FILE`, and " +
  "`xeno broker restore FILE` into an empty database, which starts an epoch of its own";

/** Why nothing is signed any more, with the way out in words. */
export class SigningStopped extends Error {
  override name = "SigningStopped";
}

/** How the log that is there now is not the one that was seen; null where it goes on from it. */
function brokenOff({ epoch, size, root }: LogState, now: Seen | null): string | null {
  const seen = `epoch ${epoch.slice(0, 12)} with ${size} leaves`;
  if (now === null) return `the database has no log any more; this broker saw ${seen}: ${ROLLED_BACK}`;
  if (now.id !== epoch) {
    const why = `the log goes on as epoch ${now.id.slice(0, 12)}, this broker saw ${seen}`;
    return `${why}: somebody restored this market while it ran. End this broker, and start it again if it is to serve the new epoch`;
  }
  if (now.size < size) return `the log has ${now.size} leaves, this broker saw ${seen}: ${ROLLED_BACK}`;
  return now.size === size && now.root !== root ? `the log has another root than this broker saw, ${seen}: ${ROLLED_BACK}` : null;
}

export class LogView {
  #seen: LogState | null = null;
  #stopped: string | null = null;

  /** Throws SigningStopped where nothing may be signed any more. */
  get seen(): LogState {
    if (this.#stopped !== null) throw new SigningStopped(this.#stopped);
    invariant(this.#seen, "the log has begun before anything is signed");
    return this.#seen;
  }

  /** Why nothing is signed any more; null while this broker signs. */
  get stopped(): string | null {
    return this.#stopped;
  }

  /** To be asked before the log is read: what is read later may not be less. */
  get known(): LogState | null {
    return this.#seen;
  }

  /** A log that begins here, or that this broker begins to follow. */
  begin({ id: epoch, size, root }: Seen): void {
    this.#seen = { epoch, size, root };
  }

  /** The log as it was read after `known` was. Throws SigningStopped where it does not go on from there. */
  see(now: Seen | null, known: LogState | null): void {
    if (this.#stopped === null && known !== null) this.#stopped = brokenOff(known, now);
    const { size } = this.seen;
    if (now !== null && now.size > size) this.begin(now);
  }
}
