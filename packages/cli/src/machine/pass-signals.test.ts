import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { passSignals, type Passing } from "./pass-signals.ts";

let told: (number | "kill")[];
let passing: Passing;
beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  passing = passSignals({ signal: (number) => told.push(number), kill: () => told.push("kill") });
});
afterEach(() => {
  passing.stop();
  vi.useRealTimers();
});

it("tells the program what this one is told", () => {
  process.emit("SIGINT", "SIGINT");
  expect([told, passing.exitCode]).toEqual([[2], null]);
});

it("keeps the first that it was told, for one that was never begun", () => {
  expect(passing.told).toBe(null);
  process.emit("SIGTERM", "SIGTERM");
  process.emit("SIGINT", "SIGINT");
  expect(passing.told).toBe(143);
});

it("takes what is said by several at once for one", () => {
  for (const signal of ["SIGINT", "SIGINT", "SIGTERM", "SIGHUP"] as const) process.emit(signal, signal);
  expect([told, passing.exitCode]).toEqual([[2], null]);
  vi.advanceTimersByTime(10_000);
  expect([told, passing.exitCode]).toEqual([[2, "kill"], 130]);
});

it("ends it the second time", () => {
  process.emit("SIGINT", "SIGINT");
  vi.advanceTimersByTime(250);
  process.emit("SIGTERM", "SIGTERM");
  expect([told, passing.exitCode]).toEqual([[2, "kill"], 143]);
});

it("ends it after a grace, and not once it has ended", () => {
  process.emit("SIGTERM", "SIGTERM");
  vi.advanceTimersByTime(10_000);
  expect([told, passing.exitCode]).toEqual([[15, "kill"], 143]);
  passing.stop();
  const heard = process.listenerCount("SIGTERM");
  passing = passSignals({ signal: (number) => told.push(number), kill: () => told.push("kill") });
  process.emit("SIGTERM", "SIGTERM");
  passing.stop();
  vi.advanceTimersByTime(20_000);
  expect([told, process.listenerCount("SIGTERM")]).toEqual([[15, "kill", 15], heard]);
});

it("tells it that its terminal has gone, and to leave a core, in the numbers that a guest knows", () => {
  process.emit("SIGHUP", "SIGHUP");
  expect([told, passing.told]).toEqual([[1], 129]);
  vi.advanceTimersByTime(250);
  process.emit("SIGQUIT", "SIGQUIT");
  expect([told, passing.exitCode]).toEqual([[1, "kill"], 131]);
});

it("passes on what does not end it, as often as it is said", () => {
  for (const signal of ["SIGUSR1", "SIGUSR2", "SIGUSR1"] as const) process.emit(signal, signal);
  vi.advanceTimersByTime(20_000);
  expect([told, passing.told, passing.exitCode]).toEqual([[10, 12, 10], null, null]);
});
