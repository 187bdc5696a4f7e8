import { expect, it } from "vitest";
import { Faults } from "./faults.ts";

const logged = () => {
  const lines: unknown[] = [];
  const counted: string[] = [];
  let now = 0;
  const write = (facts: object, what: string): void => void lines.push({ ...facts, what });
  const faults = new Faults(
    { error: write, info: write },
    (what) => void counted.push(what),
    () => now,
  );
  return { lines, counted, faults, wait: (ms: number) => void (now += ms) };
};

it("the same fault 1,000 times is four lines with counts, and one when it is over", () => {
  const { lines, faults } = logged();
  for (let i = 0; i < 1_000; i++) faults.failed("the timers failed", new Error("gone"));
  const line = { error: "gone", what: "the timers failed" };
  expect(lines).toEqual([1, 10, 100, 1_000].map((times) => ({ ...line, times })));
  faults.worked("the timers failed");
  faults.worked("the timers failed");
  expect(lines.slice(4)).toEqual([{ ...line, times: 1_000, what: "over: the timers failed" }]);
  faults.failed("the timers failed", new Error("gone"));
  expect(lines.at(-1)).toEqual({ ...line, times: 1 });
});

it("another fault is told at once: of another kind, or in other words", () => {
  const { lines, faults } = logged();
  faults.worked("never failed");
  faults.failed("the timers failed", new Error("gone"));
  faults.failed("the log's sequencer failed", new Error("gone"));
  faults.failed("the timers failed", "full");
  faults.failed("the timers failed", "full");
  expect(lines).toMatchObject([{ error: "gone" }, { error: "gone" }, { error: "full", times: 1 }]);
});

it("one fault that comes in many words is told in the first of them", () => {
  const lines: unknown[] = [];
  const write = (facts: object, what: string): void => void lines.push({ ...facts, what });
  const faults = new Faults(
    { error: write, info: write },
    undefined,
    () => 0,
    (error) => (String(error).includes("lost") ? "lost" : null),
  );
  for (let i = 0; i < 6; i++) for (const says of ["lost: starting up", "lost: in recovery"]) faults.failed("the timers failed", says);
  faults.failed("the timers failed", "full");
  expect(lines).toMatchObject([
    { error: "lost: starting up", times: 1 },
    { error: "lost: in recovery", times: 10 },
    { error: "full", times: 1 },
  ]);
});

it("each is counted, and one that comes back after a while is told as at first, with whose it was", () => {
  const { lines, counted, faults, wait } = logged();
  for (const lease of ["l1", "l2"]) faults.failed("requests find no database", new Error("full"), { lease });
  wait(600_000);
  faults.failed("requests find no database", new Error("full"), { lease: "l3" });
  const line = { error: "full", times: 1, what: "requests find no database" };
  expect(lines).toEqual([
    { ...line, lease: "l1" },
    { ...line, lease: "l3" },
  ]);
  expect(counted).toHaveLength(3);
});

it("what lasts by itself is told by itself, and each of it is counted", () => {
  const { lines, counted, faults } = logged();
  for (let i = 0; i < 20; i++)
    for (const lease of ["l1", "l2"]) faults.failed("a claim failed", "gone", { lease }, `a claim failed ${lease}`);
  const line = { error: "gone", what: "a claim failed" };
  expect(lines).toEqual([1, 10].flatMap((times) => ["l1", "l2"].map((lease) => ({ ...line, lease, times }))));
  expect(counted).toHaveLength(40);
});
