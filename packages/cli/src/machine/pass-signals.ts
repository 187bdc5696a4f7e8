/**
 * What this program is told (Ctrl-C, `kill`), a program in a guest is told, so that it can put away what it has begun. One that does not
 * end is ended: when it is said a second time, or after a grace. Who controls the inputs: whoever signals this program.
 */
import { constants } from "node:os";
import type { GuestProgram } from "@xenoservers/sdk";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;
/** As container engines wait before they kill. */
const GRACE_MS = 10_000;
/** As a shell says of a program that a signal ended: this and its number. */
const SIGNALLED = 128;

export interface Passing {
  /** The code to end with, where a signal ended it from this side; null where none did. */
  exitCode: number | null;
  /** The code for the first signal, whatever the program makes of it; null where there was none. */
  told: number | null;
  stop(): void;
}

export function passSignals(program: Pick<GuestProgram, "signal" | "kill">): Passing {
  const passing: Passing = { exitCode: null, told: null, stop };
  let grace: NodeJS.Timeout | null = null;
  const pass = (signal: NodeJS.Signals): void => {
    const number = constants.signals[signal];
    passing.told ??= SIGNALLED + number;
    const kill = (): void => {
      passing.exitCode = SIGNALLED + number;
      program.kill();
    };
    if (grace !== null) return kill();
    grace = setTimeout(kill, GRACE_MS);
    program.signal(number);
  };
  function stop(): void {
    if (grace !== null) clearTimeout(grace);
    for (const signal of SIGNALS) process.off(signal, pass);
  }
  for (const signal of SIGNALS) process.on(signal, pass);
  return passing;
}
