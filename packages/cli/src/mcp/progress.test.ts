import { describe, expect, it } from "vitest";
import { Progress, type Notices } from "./progress.ts";

function paper(send: Notices["send"]) {
  const clock = { ms: 0, tick: (): void => {}, stopped: 0 };
  const to: Notices = {
    now: () => clock.ms,
    every(_, call) {
      clock.tick = call;
      return () => void (clock.stopped++, (clock.tick = () => {}));
    },
    send,
  };
  return { clock, to };
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("what an agent hears of a call", () => {
  it("rises, says what it is at and for how long, and ends with the answer", async () => {
    const told: [number, string][] = [];
    const { clock, to } = paper(async (...notice) => void told.push(notice));
    const progress = new Progress(to);
    clock.ms = 4_000;
    clock.tick();
    await turn();
    progress.says("lease abc: running");
    await turn();
    clock.ms = 90_000;
    const late = clock.tick;
    late();
    await turn();
    progress.end();
    late();
    progress.says("more");
    expect(told).toEqual([
      [1, "under way, 4.0 s"],
      [2, "lease abc: running, 4.0 s"],
      [3, "lease abc: running, 1 min 30 s"],
    ]);
    expect(clock.stopped).toBe(1);
  });

  it("waits for one notice before the next, and is over when nobody can be told", async () => {
    const unread = Promise.withResolvers<void>();
    let sent = 0;
    const { clock, to } = paper(() => (sent++, unread.promise));
    const progress = new Progress(to);
    for (let i = 0; i < 5; i++) clock.tick();
    progress.says("waiting");
    expect(sent).toBe(1);
    unread.reject(new Error("the pipe is closed"));
    await turn();
    progress.says("running");
    expect([sent, clock.stopped]).toEqual([1, 1]);
  });

  it("is no more than a few changes at once, however often a server tells of its state", async () => {
    const told: string[] = [];
    const { clock, to } = paper(async (_, message) => void told.push(message));
    const progress = new Progress(to);
    for (let i = 0; i < 1_000; i++) {
      progress.says(`problem ${i >> 1}`);
      await turn();
    }
    expect(told.map((each) => each.split(",")[0])).toEqual(Array.from({ length: 8 }, (_, i) => `problem ${i}`));
    clock.tick();
    await turn();
    expect(told.at(-1)).toContain("problem 499");
    progress.says("running");
    expect(told.at(-1)).toContain("running");
  });

  it("is nothing where nobody asked", () => {
    const progress = new Progress(null);
    progress.says("running");
    progress.end();
  });
});
