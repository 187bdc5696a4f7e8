import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Reader, type Outcome } from "./reader.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Reads that end when they are told to. */
class Asked {
  readonly ends: ((outcome: number | Error) => void)[] = [];
  readonly signals: AbortSignal[] = [];
  readonly outcomes: Outcome<number>[] = [];
  readonly reader = new Reader<number>(
    (signal) =>
      new Promise((resolve, reject) => {
        this.signals.push(signal);
        this.ends.push((outcome) => (typeof outcome === "number" ? resolve(outcome) : reject(outcome)));
      }),
    1_000,
    (outcome) => void this.outcomes.push(outcome),
  );
  async end(outcome: number | Error): Promise<void> {
    this.ends.at(-1)!(outcome);
    await vi.advanceTimersByTimeAsync(0);
  }
}

it("shows what it reads, however fast news come: none ends the read that runs, and all of them are one read after it", async () => {
  const asked = new Asked();
  for (let i = 0; i < 50; i++) asked.reader.again();
  expect(asked.ends).toHaveLength(1);
  await asked.end(1);
  expect(asked.outcomes).toEqual([{ value: 1, error: null }]);
  expect(asked.ends).toHaveLength(2);
  asked.reader.again();
  await asked.end(2);
  expect([asked.outcomes.length, asked.ends.length]).toEqual([2, 3]);
  expect(asked.signals.some(({ aborted }) => aborted)).toBe(false);
});

it("reads after a while, more and more seldom where it fails, and as often as before when it comes", async () => {
  const asked = new Asked();
  await asked.end(1);
  const waits: number[] = [];
  const waited = async (): Promise<void> => {
    const before = asked.ends.length;
    let ms = 0;
    for (; asked.ends.length === before && ms < 200_000; ms += 1_000) await vi.advanceTimersByTimeAsync(1_000);
    waits.push(ms);
  };
  await waited();
  for (let i = 0; i < 8; i++) {
    await asked.end(new Error("away"));
    await waited();
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
  await asked.end(3);
  await waited();
  expect(waits.at(-1)).toBe(1_000);
});

it("is asked at once where somebody knows that it is there again", async () => {
  const asked = new Asked();
  await asked.end(new Error("away"));
  asked.reader.again();
  expect(asked.ends).toHaveLength(2);
});

it("reads and tells nothing more once it was stopped", async () => {
  const asked = new Asked();
  asked.reader.again();
  asked.reader.stop();
  expect(asked.signals[0]!.aborted).toBe(true);
  await asked.end(1);
  await vi.advanceTimersByTimeAsync(100_000);
  expect([asked.outcomes, asked.ends.length]).toEqual([[], 1]);
});
