import os from "node:os";
import { describe, expect, it, vi } from "vitest";
import { entrypointFrom, processFrom, signalIn } from "./process-held.ts";

// as macOS has them
vi.mock("node:os", async (original) => {
  const { default: real } = await original<{ default: typeof os }>();
  const constants = { ...real.constants, signals: { ...real.constants.signals, SIGUSR1: 30 } };
  return { default: { ...real, constants, linux: real.constants.signals }, constants };
});

describe("how an image's program is held", () => {
  it("has the signals of Linux, whatever the system of this side calls by their names", () => {
    const { linux } = os as unknown as { linux: Record<string, number> };
    expect(os.constants.signals.SIGUSR1).toBe(30);
    expect([signalIn("SIGUSR1"), signalIn("usr2")]).toEqual([10, 12]);
    expect(Object.entries(linux).filter(([name, number]) => signalIn(name) !== number)).toEqual([]);
  });

  it.each([
    ["SIGTERM", 15],
    ["cld", 17],
    ["term", 15],
    ["9", 9],
    ["cld", 17],
    ["SIGRTMIN+3", 37],
    ["RTMAX-1", 63],
    ["SIGQUIT", 3],
    ["0", null],
    ["65", null],
    ["SIGNAL", null],
    ["SIGTERM+1", null],
    ["RTMIN+40", null],
    ["RTMIN-1", null],
    ["", null],
    ["9; rm", null],
  ])("%s is signal %s", (text, signal) => {
    expect(signalIn(text)).toBe(signal);
  });

  const image = { stopSignal: "", program: "/usr/bin/app" };
  it("says nothing where it is as usual, so that servers of before know the job", () => {
    expect(processFrom({ stdin: false, tty: false }, image)).toBeUndefined();
    expect(processFrom({ stdin: false, tty: false, stopSignal: "TERM", stopGrace: 10_000 }, image)).toBeUndefined();
  });

  it("has the size of this terminal, or the usual where it has none", () => {
    expect(processFrom({ stdin: true, tty: true }, image, { rows: 50, columns: 200 })).toMatchObject({
      terminal: { rows: 50, columns: 200 },
    });
    expect(processFrom({ stdin: true, tty: true }, image, {})).toMatchObject({ terminal: { rows: 24, columns: 80 } });
    expect(processFrom({ stdin: true, tty: true }, image, { rows: 0, columns: 1e6 })).toMatchObject({
      terminal: { rows: 24, columns: 10_000 },
    });
  });

  it.each([
    ["as the image says", "SIGQUIT", undefined, "/app", 3],
    ["as was typed, whatever the image says", "nonsense", "INT", "/app", 2],
    ["as systemd wants it", "", undefined, "/sbin/init", 37],
    ["as systemd wants it, wherever it lies", "", undefined, "/lib/systemd/systemd", 37],
    ["of systemd too as the image says", "SIGTERM", undefined, "/sbin/init", undefined],
  ])("is asked to end %s", (_, stopSignal, typed, program, signal) => {
    const asked = { stdin: false, tty: false, ...(typed === undefined ? {} : { stopSignal: typed }) };
    expect(processFrom(asked, { stopSignal, program })?.stopSignal).toBe(signal);
  });

  it("is refused in words where it cannot be", () => {
    const none = { stdin: false, tty: false };
    expect(() => processFrom({ ...none, stopSignal: "SIGNOPE" }, image)).toThrow("--stop-signal 'SIGNOPE' is no signal");
    expect(() => processFrom(none, { ...image, stopSignal: "X" })).toThrow("the image's StopSignal 'X' is no signal");
    expect(() => processFrom({ ...none, stopGrace: 60_001 }, image)).toThrow("--stop-grace is at most 60s");
  });
});

describe("an entrypoint in place of the image's", () => {
  it.each([
    ["/bin/sh", ["/bin/sh"]],
    ["", []],
    ['["/bin/sh","-c"]', ["/bin/sh", "-c"]],
  ])("%s", (text, words) => {
    expect(entrypointFrom(text)).toEqual(words);
  });

  it.each(["[", "[1]", '["a"'])("%s is refused in words", (text) => {
    expect(() => entrypointFrom(text)).toThrow("begins as a list and is none");
  });
});
