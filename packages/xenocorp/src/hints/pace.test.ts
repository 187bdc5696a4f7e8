import { expect, it } from "vitest";
import { HandTimers } from "./hand-timers.fixture.ts";
import { Pace } from "./pace.ts";

const PAUSE_MS = 20;

function paced(job?: () => Promise<void>) {
  const timers = new HandTimers();
  const state = { timers, done: 0 };
  const pace = new Pace(
    () => {
      state.done++;
      return job?.();
    },
    timers,
    PAUSE_MS,
  );
  const rest = async (): Promise<void> => {
    await Promise.resolve();
    timers.fire(PAUSE_MS);
    await Promise.resolve();
  };
  return { state, pace, rest };
}

it("does a thousand requests at once, and once after the pause", async () => {
  const { state, pace, rest } = paced();
  for (let i = 0; i < 1_000; i++) pace.ask();
  expect(state.done).toBe(1);
  await rest();
  expect(state.done).toBe(2);
  await rest();
  expect(state.done).toBe(2);
  pace.ask();
  expect(state.done).toBe(3);
});

it("does nothing twice at a time, however long it takes, and goes on where it failed", async () => {
  let fail = (_: Error): void => {};
  const { state, pace, rest } = paced(() => new Promise((_, reject) => (fail = reject)));
  pace.ask();
  pace.ask();
  await rest();
  expect(state.done).toBe(1);
  fail(new Error("gone"));
  await Promise.resolve();
  await rest();
  expect(state.done).toBe(2);
});

it("does nothing any more once it is stopped, not even what was asked for before", async () => {
  const { state, pace, rest } = paced();
  pace.ask();
  pace.ask();
  await Promise.resolve();
  pace.stop();
  expect(state.timers.set).toEqual([]);
  await rest();
  pace.ask();
  expect(state.done).toBe(1);
});
