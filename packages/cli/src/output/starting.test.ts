import { describe, expect, it } from "vitest";
import { Starting } from "./starting.ts";

/** A terminal on paper, whose clock the test moves on. */
function paper() {
  let ms = 0;
  let tick: (() => void) | null = null;
  const lines: string[] = [];
  return {
    lines,
    get ticks() {
      return tick !== null;
    },
    pass(by: number): void {
      ms += by;
      tick?.();
    },
    to: {
      now: () => ms,
      over: (line: string) => void lines.push(`over ${line}`),
      log: (line: string) => void lines.push(`log ${line}`),
      every(_: number, call: () => void) {
        tick = call;
        return () => void (tick = null);
      },
    },
  };
}

describe("what a server makes ready", () => {
  it("is told by a line that stands, and by one that stays where it took long", () => {
    const terminal = paper();
    const starting = new Starting("booting", terminal.to);
    starting.state("waiting");
    terminal.pass(5_000);
    expect(terminal.lines).toEqual([]);
    starting.state("preparing");
    terminal.pass(1_500);
    starting.state("preparing");
    starting.state("reconnecting");
    terminal.pass(2_500);
    starting.state("running");
    terminal.pass(9_000);
    expect(terminal.lines).toEqual(["over booting, 1.5 s", "over booting, 4.0 s", "over ", "log started  after 4.0 s"]);
    expect(terminal.ticks).toBe(false);
  });

  it.each(["ended", "matched again", "problem: the server is away"])("leaves no line where it comes to nothing: %s", (state) => {
    const terminal = paper();
    const starting = new Starting("booting", terminal.to);
    starting.state("preparing");
    terminal.pass(9_000);
    starting.state(state);
    expect(terminal.lines).toEqual(["over booting, 9.0 s", "over "]);
    expect(terminal.ticks).toBe(false);
  });

  it("says nothing where nobody looks", () => {
    const starting = new Starting("booting", null);
    for (const state of ["preparing", "running"]) starting.state(state);
    // tests have no terminal
    expect(Starting.here("booting", false)).toEqual(starting);
  });
});
