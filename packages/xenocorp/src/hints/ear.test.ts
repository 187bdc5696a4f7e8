import { afterEach, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { Ear } from "./ear.ts";
import type { Hints } from "./hints.ts";
import { memoryHints } from "./memory-hints.ts";

const open: Ear[] = [];
afterEach(() => {
  for (const ear of open.splice(0)) ear.close();
});

/** An ear, the calls of `listen` that it made, and what it was told. */
function earOn(answer: (times: number, lost: () => void) => Promise<() => void>) {
  const seen = { listened: 0, heard: 0, failures: [] as unknown[] };
  const hints: Hints = { ...memoryHints(), listen: (_channel, _heard, lost) => answer(++seen.listened, lost) };
  const ear = new Ear({ hints, channel: "notes", heard: () => void seen.heard++, failed: (error) => void seen.failures.push(error) }, 1);
  open.push(ear);
  return { ear, seen };
}

it("listens again whenever the connection was lost, even while it was about to listen, and looks once each time", async () => {
  const { seen } = earOn(async (times, lost) => {
    if (times === 1) lost();
    if (times === 2) setImmediate(lost);
    return () => {};
  });
  await until(() => seen.listened === 3 && seen.heard === 3);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toMatchObject({ listened: 3, failures: [] });
});

it("says that nothing is heard, and tries again", async () => {
  const { seen } = earOn(async (times) => {
    if (times < 3) throw new Error("away");
    return () => {};
  });
  await until(() => seen.heard === 1);
  expect(seen.failures).toEqual([new Error("away"), new Error("away")]);
});

it("is closed at once while an answer is awaited, and lets go of what comes then", async () => {
  let answer = (_: () => void): void => {};
  const { ear, seen } = earOn(() => new Promise((resolve) => (answer = resolve)));
  await until(() => seen.listened === 1);
  ear.close();
  let stopped = 0;
  answer(() => void stopped++);
  await until(() => stopped === 1);
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toMatchObject({ listened: 1, heard: 0 });
});
