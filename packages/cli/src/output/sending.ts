/** What `run` says of a job's bytes on their way: how far they are while they go, and once they are there how many went and how fast. */
import type { SessionHandlers } from "@xenoservers/sdk";
import { ProgressLine, amountText, rateText } from "./progress.ts";
import { dim, say } from "./terminal.ts";

/** Of less nothing is said. */
const SAID_FROM_BYTES = 8 * 1024 * 1024;

type Sent = Parameters<NonNullable<SessionHandlers["onSent"]>>[0];

export class Sending {
  readonly #line: ProgressLine | null;
  #began: number | null = null;
  #last: Sent | null = null;

  /** `quiet`: nothing is said. */
  constructor(quiet: boolean) {
    this.#line = quiet ? null : new ProgressLine("sending");
  }

  sent(progress: Sent): void {
    this.#began ??= performance.now();
    this.#last = progress;
    if (progress.bytesInAll >= SAID_FROM_BYTES) this.#line?.show(progress.bytes, progress.bytesInAll, progress.thereBefore);
  }

  /** All of it is there, as the server says, or will not be; a job that is matched again is sent again. */
  end(isThere: boolean): void {
    if (this.#line === null || this.#last === null || this.#began === null) return;
    this.#line.end();
    const { bytes, thereBefore } = this.#last;
    const went = bytes - thereBefore;
    const ms = performance.now() - this.#began;
    const before = thereBefore > 0 ? `, ${amountText(thereBefore)} were there` : "";
    const what = went === 0 ? "nothing" : `${amountText(went)}, ${rateText(went, ms)}`;
    if (isThere && bytes >= SAID_FROM_BYTES) say(dim(`sent     ${what}${before}`));
    this.#last = null;
    this.#began = null;
  }
}
