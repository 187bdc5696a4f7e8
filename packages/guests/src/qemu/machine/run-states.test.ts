/** When a machine that nobody followed ended, by the time that the kernel gave its log. */
import { mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VM_FILES } from "./plan.ts";
import { endedAwayMs, withoutRunStates } from "./run-states.ts";
import { monotonicMs } from "./unheard.ts";

const BEGAN = "runstate_set current_run_state 6 (prelaunch) new_state 9 (running)\n";
const OFF = "runstate_set current_run_state 9 (running) new_state 11 (shutdown)\n";
const PANIC = "4711@1700000000.123456:runstate_set current_run_state 9 (running) new_state 15 (guest-panicked)\n";
const PAUSED = "runstate_set current_run_state 9 (running) new_state 4 (paused)\n";
const WARNS = "qemu-system-x86_64: warning: guest did something\n";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-states-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a machine's end", () => {
  const AWAY = { agoMs: 100_000, forMs: 60_000 };
  /** Written so long ago; the time away began 100 s ago, and was over 40 s ago. Answers how long ago it ended. */
  async function agoMs(text: string | null, writtenAgoMs: number, wasOver: boolean): Promise<number | undefined> {
    const [now, nowMonotonicMs] = [Date.now(), monotonicMs()];
    if (text !== null) {
      await writeFile(path.join(folder, VM_FILES.log), text);
      const at = (now - writtenAgoMs) / 1_000;
      await utimes(path.join(folder, VM_FILES.log), at, at);
    }
    const fromMs = nowMonotonicMs - AWAY.agoMs;
    const endedMs = await endedAwayMs(folder, { fromMs, toMs: fromMs + AWAY.forMs }, wasOver);
    return endedMs === undefined ? undefined : nowMonotonicMs - endedMs;
  }

  it.each([
    ["while nobody followed it, is when its log says so", BEGAN + OFF, 70_000, true, 70_000],
    ["of a panic, with a time of QEMU's own before it", BEGAN + PANIC, 70_000, true, 70_000],
    ["whose QEMU then was ended, too", `${BEGAN + OFF}qemu-system-x86_64: terminating on signal 15\n`, 70_000, true, 70_000],
    ["before the last claim is not before what was claimed", BEGAN + OFF, 200_000, true, 100_000],
    ["since somebody follows it is when that is heard", BEGAN + OFF, 10_000, true, undefined],
    ["that its log does not tell is what was claimed before", BEGAN + WARNS, 70_000, true, 100_000],
    ["of which there is no log is what was claimed before", null, 0, true, 100_000],
    ["heard of one that ran when it was found is when that is heard", BEGAN, 70_000, false, undefined],
    ["is not where it stood still for a while", BEGAN + PAUSED, 70_000, false, undefined],
  ])("%s", async (_, text, writtenAgoMs, wasOver, expected) => {
    const found = await agoMs(text, writtenAgoMs, wasOver);
    if (expected === undefined) expect(found).toBeUndefined();
    // two clocks of one machine
    else expect(Math.abs((found ?? Infinity) - expected)).toBeLessThan(1_000);
  });
});

it("what QEMU says of how it stands is none of its own words", () => {
  expect(withoutRunStates(BEGAN + WARNS + PANIC + OFF)).toBe(WARNS);
  expect(withoutRunStates(`${BEGAN}${OFF.trim()}`)).toBe("");
});
