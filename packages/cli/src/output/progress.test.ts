import { expect, test } from "vitest";
import { ProgressLine, progressText } from "./progress.ts";

test("how far it is, how fast, and how long it takes still", () => {
  expect(progressText("big", 0, 100, 0)).toBe("big: 0 B of 100 B, 0 B/s");
  expect(progressText("big", 2 * 1024 ** 2, 8 * 1024 ** 2, 1_000)).toBe("big: 2.0 MiB of 8.0 MiB, 2.0 MiB/s, 3 s left");
  expect(progressText("big", 1_536, null, 500)).toBe("big: 1.5 KiB, 3.0 KiB/s");
  expect(progressText("big", 10, 10, 1_000)).toBe("big: 10 B of 10 B, 10 B/s");
});

test("what was there before counts in what has come, and not in how fast it goes", () => {
  expect(progressText("big", 60, 100, 1_000, 50)).toBe("big: 60 B of 100 B, 10 B/s, 4 s left");
});

test("a terminal has one line that stands, a log one every ten seconds and none for what is over sooner", () => {
  const shown = (isLog: boolean): string[] => {
    const said: string[] = [];
    let at = 0;
    const line = new ProgressLine("big", {
      isLog,
      now: () => at,
      over: (text) => said.push(`over ${text}`),
      log: (text) => said.push(`log ${text}`),
    });
    for (; at <= 20_000; at += 100) line.show(at, null);
    line.end();
    return said;
  };
  expect(shown(true)).toEqual(["log big: 9.8 KiB, 1000 B/s", "log big: 19.5 KiB, 1000 B/s"]);
  expect(shown(false).length).toBe(102);
  expect(shown(false).at(-1)).toBe("over ");
});
