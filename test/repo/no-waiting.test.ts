/** No test depends on how fast a machine is: tests wait for events and conditions, never for time, and assert on no duration. Read from the sources. */
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";

const RULES: Record<string, RegExp> = {
  "a timer": /\bset(?:Timeout|Interval)\(|timers\/promises/,
  "a limit of the runner's own, which is a second where it is not said": /\bexpect\.poll\(|\bvi\.wait(?:For|Until)\(/,
  "a limit in milliseconds": /\bAbortSignal\.timeout\(|\btimeout(?:Ms)?: ?\d/,
  "a limit on one test": /^\s*\}, \d[\d_]*\);$/,
  "a comparison with the time": /\b(?:Date|performance)\.now\(\)\s*(?:[<>]|-\s*[a-z])|(?:-|(?<!=)[<>]=?)\s*(?:Date|performance)\.now\(\)/,
  "a guest's time in seconds": /"--max-time", "\d+s"/,
};
/** Where guests are real, under a limit of less than a quarter of an hour. */
const SHORT_RUN = /\bdurationMsMax: (?:\d{1,3}_)?\d{1,3}\s*[,}]/;

interface Lawful {
  rule: string;
  file: string;
  times: number;
  why: string;
}
const aTimer = (file: string, times: number, why: string): Lawful => ({ rule: "a timer", file, times, why });
const LAWFUL: Lawful[] = [
  aTimer("test/until.ts", 1, "between two looks at a condition"),
  { rule: "a comparison with the time", file: "test/until.ts", times: 1, why: "so that what hangs says what it waited for" },
  aTimer("test/drill/pace.ts", 1, "a drill kills at random moments; what it asserts depends on none of them"),
  aTimer("test/process/map-killed.thorough.test.ts", 1, "kills at several moments; what it asserts depends on none of them"),
  aTimer("test/fuzz/watch.ts", 1, "between two looks at a thread, which is judged by its use of the processor and of memory"),
  ...["test/fuzz/main.ts", "test/fuzz/worker.ts"].map((file) => ({
    ...{
      rule: "a comparison with the time",
      file,
      times: 1,
      why: "a run of minutes that somebody asked for ends then, with what it has played",
    },
  })),
  aTimer(
    "test/xapi/domain.ts",
    1,
    "a machine that stands in for a real one sleeps as it was asked to; what is asserted depends on none of it",
  ),
  aTimer("test/process/clock.ts", 1, "a clock for the programs of a market; tests move it on"),
  aTimer("test/flood/row.ts", 1, "a stranger who was cut off comes again"),
  aTimer("test/flood/resident.ts", 1, "a process is sampled: a sample more or less proves more or less, and nothing false"),
  aTimer("test/flood/honest.ts", 1, "a customer of the flood, which is a bench, asks now and then"),
  { rule: "a comparison with the time", file: "test/flood/honest.ts", times: 1, why: "what the flood measures" },
  aTimer(
    "test/vm/hostile.test.ts",
    2,
    "a hostile guest gets some seconds to do its worst; less of it is proved on a slow machine, and nothing false",
  ),
  aTimer(
    "test/vm/kill.test.ts",
    2,
    "a machine gets a second to end wrongly, and the time that a server is away must be seen in a bill; less is proved on a slow machine",
  ),
  aTimer(
    "test/vm/clocks.ts",
    1,
    "a machine stands still for so long, and its clocks must not have seen it; they are looked at until they are right",
  ),
  ...["test/receipts/month.thorough.test.ts", "test/receipts/read-long.ts"].map((file) => ({
    ...{ rule: "a comparison with the time", file, times: 1, why: "what it took is printed, and nothing asked of it" },
  })),
  {
    rule: "a comparison with the time",
    file: "test/process/map.thorough.test.ts",
    times: 1,
    why: "what it took is printed, and nothing asked of it",
  },
  {
    rule: "a comparison with the time",
    file: "test/pack/guides/play.ts",
    times: 1,
    why: "what each line of a page took is printed, and nothing asked of it",
  },
  { rule: "a comparison with the time", file: "test/vm/clocks.ts", times: 1, why: "a guest's time of day beside this machine's" },
  {
    rule: "a guest's time in seconds",
    file: "test/vm/deterministic.test.ts",
    times: 1,
    why: "a run that cannot be checked again, whichever way it ends",
  },
];

const below = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !/node_modules|\.tsbuild/.test(entry.parentPath))
    .map((entry) => path.join(entry.parentPath, entry.name));
const tests = [
  ...below("test").filter((file) => file.endsWith(".ts") && file !== "test/repo/no-waiting.test.ts"),
  ...below("packages").filter((file) => /\/src\/.*(?:\.test|contract|fixture)\.ts$/.test(file)),
];

/** Where a line of that text breaks a rule. */
function waitsIn(file: string, text: string): { rule: string; at: string }[] {
  const rules = Object.entries(RULES);
  if (file.startsWith("test/process/")) rules.push(["a guest's time in seconds", SHORT_RUN]);
  return text
    .split("\n")
    .flatMap((line, i) => rules.flatMap(([rule, pattern]) => (pattern.test(line) ? [{ rule, at: `${file}:${i + 1}` }] : [])));
}

it("is waited for in no test, but where it is said why", () => {
  const found = tests.flatMap((file) => waitsIn(file, readFileSync(file, "utf8")).map((wait) => ({ ...wait, file })));
  const isLawful = ({ rule, file }: { rule: string; file: string }): boolean =>
    LAWFUL.some((each) => each.rule === rule && each.file === file);
  expect(
    found.filter((wait) => !isLawful(wait)).map(({ rule, at }) => `${at} has ${rule}`),
    "wait for an event or a condition (test/until.ts), or say in this file why a wait is lawful",
  ).toEqual([]);
  for (const { rule, file, times, why } of LAWFUL)
    expect(
      found.filter((wait) => wait.rule === rule && wait.file === file).length,
      `${file} (${why}): how often ${rule} stands there`,
    ).toBe(times);
});

it.each([
  ["await new Promise((resolve) => setTimeout(resolve, 1_200));", "a timer"],
  ['import { setTimeout as sleep } from "node:timers/promises";', "a timer"],
  ["await expect.poll(() => seen).toBe(1);", "a limit of the runner's own, which is a second where it is not said"],
  ["await run(program, { timeout: 5_000 });", "a limit in milliseconds"],
  ["}, 90_000);", "a limit on one test"],
  ["expect(Date.now() - start).toBeLessThan(500);", "a comparison with the time"],
  ["while (text === '' && performance.now() < deadline) await look();", "a comparison with the time"],
  ['await xeno("run", "--max-time", "30s", program);', "a guest's time in seconds"],
  ["orderAndFollow(customer, loop, { durationMsMax: 1_500 });", "a guest's time in seconds"],
])("is seen in %j", (line, rule) => {
  expect(waitsIn("test/process/some.test.ts", line).map((wait) => wait.rule)).toEqual([rule]);
});

it.each([
  "durationMsMax: 3_600_000,",
  "durationMsMax: 10 * MINUTE_MS,",
  "const at = Date.now() + 60_000;",
  "now: () => Date.now(),",
  "new Date(Date.now() - 3_600_000)",
  "await until(() => seen);",
])("is not seen in %j", (line) => {
  expect(waitsIn("test/process/some.test.ts", line)).toEqual([]);
});
