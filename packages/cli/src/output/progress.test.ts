import { expect, test } from "vitest";
import { progressText } from "./progress.ts";

test("how far it is, how fast, and how long it takes still", () => {
  expect(progressText("big", 0, 100, 0)).toBe("big: 0 B of 100 B, 0 B/s");
  expect(progressText("big", 2 * 1024 ** 2, 8 * 1024 ** 2, 1_000)).toBe("big: 2.0 MiB of 8.0 MiB, 2.0 MiB/s, 3 s left");
  expect(progressText("big", 1_536, null, 500)).toBe("big: 1.5 KiB, 3.0 KiB/s");
  expect(progressText("big", 10, 10, 1_000)).toBe("big: 10 B of 10 B, 10 B/s");
});
