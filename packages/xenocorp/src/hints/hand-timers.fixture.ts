/** Timers that a test fires. */
import type { Timers } from "@xenoservers/protocol/link";

export class HandTimers implements Timers {
  readonly set: { ms: number; action: () => void }[] = [];
  now = (): number => 0;
  random = (): number => 0;
  after(ms: number, action: () => void): () => void {
    const timer = { ms, action };
    this.set.push(timer);
    return () => void this.set.splice(this.set.indexOf(timer), this.set.includes(timer) ? 1 : 0);
  }
  /** All that are set for so long, each once. */
  fire(ms: number): void {
    for (const timer of this.set.filter((each) => each.ms === ms)) {
      this.set.splice(this.set.indexOf(timer), 1);
      timer.action();
    }
  }
}
