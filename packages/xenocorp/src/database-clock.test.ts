/** Broker time never goes back, in a broker or from one to the next, and a clock that would have it so is told. */
import { describe, expect, it, vi } from "vitest";
import { databaseClock } from "./database-clock.ts";
import type { LoggedDocument } from "./store/store.ts";

const HOUR = 3_600_000;
const NOON = Date.parse("2026-11-29T12:00:00Z");

/** A database whose clock is set by a test, and whose log has documents of these times. */
function database({ logged = [], waiting = [] }: { logged?: number[]; waiting?: number[] } = {}) {
  const documents = (times: number[]) => times.map((at) => ({ at }) as LoggedDocument);
  return {
    clock: NOON,
    async now() {
      return this.clock;
    },
    logHead: async () => ({ epoch: 1, id: "", size: logged.length, root: "", checkpoint: "" }),
    logEntries: async (from: number, to: number) => documents(logged.slice(from, to)),
    logPending: async () => documents(waiting),
  };
}

describe("broker time", () => {
  it("does not begin before what the log has, and stands still for a moment instead", async () => {
    for (const place of ["logged", "waiting"] as const) {
      const clock = await databaseClock(database({ [place]: [NOON - HOUR, NOON + 20_000, NOON] }));
      expect([clock.now(), clock.now()]).toEqual([NOON + 20_000, NOON + 20_000]);
    }
  });

  it("does not begin where the log is further than the clock, and says which two times differ", async () => {
    const wrong = databaseClock(database({ logged: [NOON - HOUR, NOON + 72 * HOUR, NOON] }));
    const says =
      "the log has a document of 2026-12-02T12:00:00.000Z, and by the database's clock it is 2026-11-29T12:00:00.000Z, 3 days before that";
    await expect(wrong).rejects.toThrow(
      `${says}: what is signed now would contradict the log, so nothing was. If that clock is wrong, set it`,
    );
    await expect(databaseClock(database({ waiting: [NOON + 31_000] }))).rejects.toThrow("31.0 s before that");
  });

  it("stands still where the clock is set back, says so, and goes on once it has come so far", async () => {
    const base = database();
    const clock = await databaseClock(base);
    const before = clock.now();
    base.clock = NOON - HOUR;
    await expect(clock.sync()).rejects.toThrow(
      /^the database's clock is 60 min behind broker time: it was set back. broker time stands still at /,
    );
    expect([clock.now(), clock.problem]).toEqual([before, expect.stringContaining("no deadline passes meanwhile")]);
    base.clock = NOON + HOUR;
    await clock.sync();
    expect(clock.problem).toBeNull();
    expect(clock.now()).toBeGreaterThanOrEqual(NOON + HOUR);
  });

  it("says that the clock went ahead at once, and nothing where it was only read late or is right again", async () => {
    let monotonic = 1_000;
    const ticking = vi.spyOn(performance, "now").mockImplementation(() => monotonic);
    try {
      const base = database();
      const told: string[] = [];
      const clock = await databaseClock(base, (words) => told.push(words));
      const look = async (passedMs: number, at: number): Promise<void> => {
        monotonic += passedMs;
        base.clock = at;
        await clock.sync().finally(() => clock.now());
      };
      await look(600_000, NOON + 650_000);
      expect(told).toEqual([]);
      await look(10_000, NOON + HOUR + 660_000);
      await look(10_000, NOON + HOUR + 670_000);
      expect(told).toEqual([expect.stringMatching(/^the database's clock went 60 min ahead at once: unless this machine stood still/)]);
      await expect(look(10_000, NOON)).rejects.toThrow("it was set back");
      await look(600_000, NOON + 2 * HOUR);
      expect([told.length, clock.problem]).toEqual([1, null]);
    } finally {
      ticking.mockRestore();
    }
  });

  it("is what it was after a database that took long to answer, whenever it looked at its clock", async () => {
    let monotonic = 1_000;
    const ticking = vi.spyOn(performance, "now").mockImplementation(() => monotonic);
    try {
      for (const late of [0, 60_000]) {
        const base = database();
        const at = monotonic;
        let [before, after] = [0, 0];
        base.now = async () => {
          monotonic += before;
          const now = NOON + monotonic - at;
          monotonic += after;
          return now;
        };
        const clock = await databaseClock(base);
        [before, after] = [late, 60_000 - late];
        await clock.sync();
        expect([clock.problem, clock.now()]).toEqual([null, NOON + 60_000]);
      }
    } finally {
      ticking.mockRestore();
    }
  });

  it("says how long nothing was signed, which a clock that is ahead shows", async () => {
    expect((await databaseClock(database({ logged: [NOON - 72 * HOUR] }))).away).toBe("3 days, since 2026-11-26T12:00:00.000Z");
    for (const logged of [[], [NOON - 60_000]]) expect((await databaseClock(database({ logged }))).away).toBeNull();
  });
});
