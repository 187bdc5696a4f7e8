/**
 * Broker time: the database's clock carried on by this machine's monotonic one, never going back, and never before what the log has. A log
 * whose times go back is one whose receipts do not hold, so a clock that was wrong is told, and nothing is signed by it. Who controls the
 * inputs: whoever sets the clock of the database's machine.
 */
import { clockWords, spanWords } from "@xenoservers/market";
import { dateText } from "@xenoservers/protocol";
import type { Store } from "./store/store.ts";

type Clocked = Pick<Store, "now" | "logHead" | "logEntries" | "logPending">;

export interface BrokerClock {
  now(): number;
  /** Throws, in words, where the database's clock was set back: broker time stands still until that clock has come so far again. */
  sync(): Promise<void>;
  /** What is wrong with the database's clock; null: nothing that can be seen. */
  readonly problem: string | null;
  /** When the latest of what was accepted before the start was accepted, in words where that is long ago. */
  readonly away: string | null;
}

/** A clock that is slowed down by NTP is within it. */
const READ_WITHIN_MS = 2_000;
/** So long a start may have broker time stand still: changes of several brokers may be logged so far out of their times anyway. */
const AHEAD_MAX_MS = 30_000;
/** How far that clock may go ahead between two looks at it: more is told. */
const STEP_MS = 60_000;
/** A longer silence of the log is told at the start: it may be a clock that is ahead. */
const AWAY_MS = 3_600_000;
const PENDING_MAX = 100_000;
const LAST = 1_000;

/** When the latest of what was accepted was accepted. */
async function latestIn(store: Clocked): Promise<number> {
  const size = (await store.logHead())?.size ?? 0;
  const logged = await store.logEntries(Math.max(0, size - LAST), size);
  return [...logged, ...(await store.logPending(PENDING_MAX))].reduce((latest, { at }) => Math.max(latest, at), 0);
}

/** Throws where what is signed now would contradict the log. */
function assertNotBefore(latest: number, now: number): void {
  if (latest - now <= AHEAD_MAX_MS) return;
  const clock = `by the database's clock it is ${dateText(now)}, ${spanWords(latest - now)} before that`;
  const times = `the log has a document of ${dateText(latest)}, and ${clock}`;
  const way = "If that clock is wrong, set it (NTP) and start again; if it was ahead earlier, start when that time has come";
  throw new Error(`${times}: what is signed now would contradict the log, so nothing was. ${way}, or restore a backup from before`);
}

/** A machine that stood still has a clock that goes ahead at once when it goes on. */
const stepWords = (aheadMs: number): string =>
  `the database's clock went ${spanWords(Math.round(aheadMs))} ahead at once: unless this machine stood still for so long, stop this ` +
  "broker and set that clock now, since what is signed ahead of time keeps the market from starting until that time has come";

/** `stepped` is told, in words for the operator, where the database's clock has gone ahead at once. */
export async function databaseClock(store: Clocked, stepped: (words: string) => void = () => {}): Promise<BrokerClock> {
  let last = await latestIn(store);
  let offset = Number.NEGATIVE_INFINITY;
  let problem: string | null = null;
  // what was asked was answered at some moment between: a database that took long says so much less of what the time is now
  const read = async (): Promise<number> => {
    const before = performance.now();
    const now = await store.now();
    offset = Math.min(Math.max(offset, now - performance.now()), now - before);
    return now;
  };
  const sync = async (): Promise<void> => {
    const before = offset;
    await read();
    const now = performance.now() + offset;
    const wasSetBack = problem !== null;
    const setBack = `the database's clock is ${clockWords({ offsetMs: Math.round(now - last) }, "broker time")}: it was set back`;
    const stands = `broker time stands still at ${dateText(last)} until that clock has come so far again, and no deadline passes meanwhile`;
    problem = now < last - READ_WITHIN_MS ? `${setBack}. ${stands}` : null;
    if (problem !== null) throw new Error(problem);
    // one that was set back and is right again has told enough
    if (!wasSetBack && offset - before >= STEP_MS) stepped(stepWords(offset - before));
  };
  const started = await read();
  assertNotBefore(last, started);
  const away = last === 0 || started - last < AWAY_MS ? null : `${spanWords(started - last)}, since ${dateText(last)}`;
  return {
    ...{ sync, away, now: () => (last = Math.max(last, Math.floor(performance.now() + offset))) },
    get problem() {
      return problem;
    },
  };
}
