/** What ends a guest from outside: the daemon, or the clock. Who controls the inputs: the daemon. */
import { STOP_WITHIN_MS } from "./job.ts";
import { Script, existsSync } from "./of-node.ts";

/** The longest that the platform lets a script be limited to. */
const TIMEOUT_MS_MAX = 2 ** 32 - 1;
const LOOK_EVERY_MS = 50;

export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

const START = new Script("guestStart()");

/** Of one job. */
export class Outside {
  readonly #runMsMax: number;
  readonly #stopFile: string;
  readonly #endsAt: number;
  #lookedAt = 0;
  by: "stopped" | "timeout" = "stopped";

  /** `stopFile` is there once the guest is to end. */
  constructor(runMsMax: number, stopFile: string) {
    this.#runMsMax = runMsMax;
    this.#stopFile = stopFile;
    this.#endsAt = monotonicMs() + runMsMax;
  }

  /** Looks now and then, so that a guest that calls often pays little for it. */
  isStopped(): boolean {
    const now = monotonicMs();
    if (now - this.#lookedAt < LOOK_EVERY_MS) return false;
    this.#lookedAt = now;
    if (now >= this.#endsAt) this.by = "timeout";
    return this.by === "timeout" || existsSync(this.#stopFile);
  }

  /** Calls what may not end by itself; false where it was interrupted. */
  interruptible(call: () => void): boolean {
    try {
      Object.assign(globalThis, { guestStart: call });
      const timeout = Math.min(this.#runMsMax + STOP_WITHIN_MS, TIMEOUT_MS_MAX);
      START.runInThisContext({ timeout, breakOnSigint: true });
      return true;
    } catch (error) {
      const code = error instanceof Error && "code" in error ? error.code : null;
      if (code === "ERR_SCRIPT_EXECUTION_TIMEOUT") this.by = "timeout";
      else if (code !== "ERR_SCRIPT_EXECUTION_INTERRUPTED") throw error;
      return false;
    } finally {
      Reflect.deleteProperty(globalThis, "guestStart"); // nothing of a job is held beyond it
    }
  }
}
