import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PATIENCE, pulseOf } from "./starter-pulse.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("a starter that says nothing is given up after twelve questions, and only where somebody waits", () => {
  const [ask, silent] = [vi.fn(), vi.fn()];
  let isAwaited = false;
  const pulse = pulseOf(PATIENCE, { isAwaited: () => isAwaited, ask, silent });
  vi.advanceTimersByTime(3_600_000);
  expect(ask).not.toHaveBeenCalled();
  isAwaited = true;
  vi.advanceTimersByTime(60_000);
  expect(ask).toHaveBeenCalledTimes(12);
  pulse.heard();
  vi.advanceTimersByTime(60_000);
  expect([ask.mock.calls.length, silent.mock.calls.length]).toEqual([24, 0]);
  vi.advanceTimersByTime(5_000);
  expect(silent).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(3_600_000);
  expect([ask.mock.calls.length, silent.mock.calls.length]).toEqual([24, 1]);
});

it("a starter that was waited for, and is no more, begins anew", () => {
  const silent = vi.fn();
  let isAwaited = true;
  const pulse = pulseOf(PATIENCE, { isAwaited: () => isAwaited, ask: () => {}, silent });
  vi.advanceTimersByTime(60_000);
  isAwaited = false;
  vi.advanceTimersByTime(5_000);
  isAwaited = true;
  vi.advanceTimersByTime(60_000);
  expect(silent).not.toHaveBeenCalled();
  pulse.end();
  vi.advanceTimersByTime(3_600_000);
  expect(silent).not.toHaveBeenCalled();
});
