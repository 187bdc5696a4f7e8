/** What a broker does without being asked, each in its own rhythm. */
import type { Faults } from "@xenoservers/protocol/faults";
import type { Logger } from "pino";
import type { BrokerClock } from "../database-clock.ts";
import type { Desk } from "../desk/desk.ts";
import type { Services } from "../desk/round.ts";
import type { FleetRun } from "../fleet/run.ts";
import type { LinkHub } from "../http/link-hub.ts";
import { sequence } from "../log/sequencer.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { OwnDatabase } from "../store/own-database.ts";
import type { Wills } from "../wills/wills.ts";
import { proofProblems } from "./books.ts";
import { startLoop, type Loop } from "./loop.ts";
import { dropOld, type Retention } from "./retention.ts";

/** How long what is here stays. */
export interface Kept {
  retention: Retention;
  archiveAfterMs: number;
}

const TIMER_PAUSE_MS = 200;
const SEQUENCER_PAUSE_MS = 100;
const BOOKS_PAUSE_MS = 60_000;
const CLOCK_PAUSE_MS = 10_000;
const REVOCATIONS_PAUSE_MS = 300;
const SEALED_PAUSE_MS = 60_000;
/** How often last wills are looked at in the time after which one is filed. */
const WILL_LOOKS = 20;
const RETENTION_PAUSE_MS = 60_000;
/** Longer than the pause, so that one broker goes on with it. */
const RETENTION_DUTY_MS = 150_000;

export interface Looped {
  run: FleetRun;
  kept: () => Kept;
  archive: () => Promise<number>;
  desk: Desk;
  hub: LinkHub;
  wills: Wills;
  clock: BrokerClock;
  database: OwnDatabase;
  logger: Logger;
  metrics: Metrics;
  faults: Faults;
}

/** Begins them all; each is stopped by itself. */
export function startLoops(services: Services, looped: Looped): Loop[] {
  const { run, kept, archive, desk, hub, wills, clock, database, logger, metrics, faults } = looped;
  const { store } = services;
  const loop = (pauseMs: number, what: string, job: () => Promise<number>): Loop => {
    const watched = async (): Promise<number> => {
      const done = await job();
      faults.worked(what);
      return done;
    };
    return startLoop(pauseMs, watched, (error) => faults.failed(what, error));
  };
  const auditBooks = async (): Promise<number> => {
    const proof = await store.proveBooks();
    const problems = proofProblems(proof);
    metrics.books(problems.length === 0, proof.pots);
    if (problems.length > 0) logger.fatal({ problems }, "the books do not balance");
    return 0;
  };
  const followClock = async (): Promise<number> => {
    try {
      await clock.sync();
    } catch (error) {
      await database.unanswered();
      throw error;
    }
    database.answered();
    return 0;
  };
  return [
    loop(SEQUENCER_PAUSE_MS, "the log's sequencer failed", () => sequence(services)),
    loop(TIMER_PAUSE_MS, "the timers failed", () => desk.runTimers()),
    loop(CLOCK_PAUSE_MS, "the database's clock cannot be followed", followClock),
    loop(REVOCATIONS_PAUSE_MS, "revoked keys cannot be read", () => hub.cutRevoked()),
    loop(wills.afterMs / WILL_LOOKS, "last wills cannot be looked at", () => wills.run()),
    loop(SEALED_PAUSE_MS, "sealed results cannot be dropped", async () => (await store.dropSealed(clock.now()), 0)),
    loop(RETENTION_PAUSE_MS, "what is too old cannot be dropped", async () =>
      (await run.hasDuty("retention", RETENTION_DUTY_MS)) ? dropOld(store, clock.now(), kept().retention) : 0,
    ),
    loop(RETENTION_PAUSE_MS, "leases cannot be moved to the archive", async () =>
      (await run.hasDuty("archive", RETENTION_DUTY_MS)) ? archive() : 0,
    ),
    loop(BOOKS_PAUSE_MS, "the books cannot be read", auditBooks),
  ];
}
