/**
 * What this program is told (Ctrl-C, `kill`, a terminal that closes), a program in a guest is told, so that it can put away what it has
 * begun. One that does not end where it was told to is ended: when it is said a second time, or after a grace. Who controls the inputs:
 * whoever signals this program.
 */
import type { GuestProgram } from "@xenoservers/sdk";

/** Of Linux, which guests run: other systems have other numbers (signal(7)). */
const ENDING: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGTERM: 15 };
/** What they mean is the program's to say. */
const OTHERS: typeof ENDING = { SIGUSR1: 10, SIGUSR2: 12 };
/** As container engines wait before they kill. */
const GRACE_MS = 10_000;
/**
 * What ends it comes in twos where nobody said it twice: by the terminal and by `npx`, by the kernel and by the shell whose window closed,
 * by `timeout`, by systemd (SIGTERM and SIGHUP). Faster than anybody presses a key again.
 */
const ONCE_MS = 250;
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
  let isOnce = false;
  const end = (number: number): void => {
    passing.told ??= SIGNALLED + number;
    const kill = (): void => {
      passing.exitCode = SIGNALLED + number;
      program.kill();
    };
    if (isOnce) return;
    if (grace !== null) return kill();
    grace = setTimeout(kill, GRACE_MS);
    isOnce = true;
    setTimeout(() => (isOnce = false), ONCE_MS).unref();
    program.signal(number);
  };
  const passed = [
    ...Object.entries(ENDING).map(([signal, number]) => [signal, () => end(number)] as const),
    ...Object.entries(OTHERS).map(([signal, number]) => [signal, () => program.signal(number)] as const),
  ];
  function stop(): void {
    if (grace !== null) clearTimeout(grace);
    for (const [signal, pass] of passed) process.off(signal, pass);
  }
  for (const [signal, pass] of passed) process.on(signal, pass);
  return passing;
}
