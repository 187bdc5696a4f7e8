/** What every maker of hints keeps, whatever carries them. */
import { afterEach, describe, expect, it } from "vitest";
import type { Timers } from "@xenoservers/protocol/link";
import { until } from "../until.ts";
import { Ear } from "../../packages/xenocorp/src/hints/ear.ts";
import { HandTimers } from "../../packages/xenocorp/src/hints/hand-timers.fixture.ts";
import { HINT_PAUSE_MS, type Channel, type Hints } from "../../packages/xenocorp/src/hints/hints.ts";

export interface HintsGround {
  /** A broker's hints, of one market or another; brokers of a market have the same word for it. */
  open(market: string, timers?: Timers): Promise<Hints>;
  /** Cuts every connection that listens; new ones are taken. */
  cut(): Promise<void>;
  /** Of a broker whose server is not there. */
  away(): Promise<Hints>;
}

async function listener(hints: Hints, channel: Channel = "notes") {
  const told = { heard: 0, lost: 0 };
  const stop = await hints.listen(
    channel,
    () => void told.heard++,
    () => void told.lost++,
  );
  return { told, stop };
}

export function hintsContract(ground: () => HintsGround): void {
  const closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).toReversed()) await close();
  });
  const open = async (market: string, timers?: Timers): Promise<Hints> => {
    const hints = await ground().open(market, timers);
    closing.push(() => hints.close());
    return hints;
  };
  /** Returns once what was told before has been heard, if it is heard at all. */
  const settled = async (from: Hints, to: Hints, channel: Channel): Promise<void> => {
    const { told, stop } = await listener(to, channel);
    from.hint(channel);
    await until(() => told.heard > 0);
    stop();
  };

  describe("hints", () => {
    it("reach the other broker, on the channel that they are of", async () => {
      const [here, there] = [await open("m"), await open("m")];
      const [notes, events] = [await listener(there), await listener(there, "events")];
      here.hint("notes");
      await until(() => notes.told.heard > 0);
      expect(events.told.heard).toBe(0);
      here.hint("events");
      await until(() => events.told.heard > 0);
      notes.stop();
      events.stop();
      expect([notes.told.lost, events.told.lost]).toEqual([0, 0]);
    });

    it("reach no other market", async () => {
      const [here, there] = [await open("m"), await open("m")];
      const [foreign, other] = [await open("n"), await open("n")];
      const { told, stop } = await listener(foreign);
      await settled(here, there, "notes");
      // by now it would be here
      await settled(other, foreign, "events");
      expect(told).toEqual({ heard: 0, lost: 0 });
      stop();
    });

    it("come no more to a listener that was stopped, and it is not told of a loss", async () => {
      const [here, there] = [await open("m"), await open("m")];
      const { told, stop } = await listener(there);
      stop();
      await settled(here, there, "notes");
      await ground().cut();
      expect(told).toEqual({ heard: 0, lost: 0 });
    });

    it("are heard again after the connection was lost", async () => {
      const [here, there] = [await open("m"), await open("m")];
      const { told } = await listener(there);
      let heard = 0;
      const ear = new Ear({ hints: there, channel: "events", heard: () => void heard++, failed() {} }, 10);
      closing.push(() => ear.close());
      await until(() => heard > 0);
      await ground().cut();
      await until(() => told.lost === 1);
      await until(() => heard > 1);
      const before = heard;
      await until(() => {
        here.hint("events");
        return heard > before;
      });
      expect(told.lost).toBe(1);
    });

    it("that come by the ten thousand are told once, heard once, and once more after the pause", async () => {
      const [ours, theirs] = [new HandTimers(), new HandTimers()];
      const [here, there] = [await open("m", ours), await open("m", theirs)];
      const { told, stop } = await listener(there);
      const storm = (): void => {
        for (let i = 0; i < 10_000; i++) here.hint("notes");
      };
      storm();
      await until(() => told.heard === 1 && ours.set.length === 1 && theirs.set.length === 1);
      storm();
      // another channel has a pause of its own, and what was told before would be here by now
      await settled(here, there, "events");
      expect(told.heard).toBe(1);
      // the one that was kept goes out, and is heard when the listener has rested
      ours.fire(HINT_PAUSE_MS);
      await until(() => {
        theirs.fire(HINT_PAUSE_MS);
        return told.heard >= 2;
      });
      stop();
    });

    it("fail nobody and keep nobody waiting where their server is away", async () => {
      const hints = await ground().away();
      closing.push(() => hints.close());
      for (let i = 0; i < 1_000; i++) hints.hint("events");
      await expect(hints.listen("notes", expect.unreachable, expect.unreachable)).rejects.toThrow();
    });
  });
}
