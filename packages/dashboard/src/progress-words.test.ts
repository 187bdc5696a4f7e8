import { expect, it } from "vitest";
import { progressText } from "./progress-words.ts";

const standing = { isOver: false, isWhole: false, state: "", sent: null, stdout: { bytes: 0 }, stderr: { bytes: 0 } };

it("says who has to send a job for which its server waits", () => {
  const waiting = { ...standing, state: "waiting" };
  expect(progressText(waiting, true)).toMatch(/goes there from this tab: keep it open/);
  expect(progressText(waiting, false)).toMatch(/Where that is closed, stop it and run it again/);
});

it("says how much of it is there", () => {
  const sent = { bytes: 3 * 1024 * 1024, bytesInAll: 300 * 1024 * 1024, bytesPerSecond: null };
  expect(progressText({ ...standing, state: "waiting", sent }, true)).toMatch(/until it runs\. 3\.0 MiB of 300\.0 MiB are there\.$/);
  const paced = { ...standing, state: "waiting", sent: { ...sent, bytesPerSecond: 3 * 1024 * 1024 } };
  expect(progressText(paced, true)).toMatch(/ are there, 3\.0 MiB a second, 1 min 39 s left\.$/);
  expect(progressText({ ...standing, state: "running", sent }, true)).toBe("running");
});

it("puts what the session says, and how it ended", () => {
  expect(progressText(standing, false)).toBe("Connecting…");
  expect(progressText({ ...standing, state: "running\u202E" }, false)).toBe("running\\u202e");
  expect(progressText({ ...standing, state: "paused" }, false)).toMatch(/stands still/);
  expect(progressText({ ...standing, isOver: true }, false)).toMatch(/no result/);
  expect(progressText({ ...standing, isOver: true, isWhole: true }, false)).toBe("It has printed nothing.");
  expect(progressText({ ...standing, isOver: true, isWhole: true, stderr: { bytes: 1 } }, false)).toMatch(/All of it has come/);
});
