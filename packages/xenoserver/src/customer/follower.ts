/** Sends a guest's output to one channel as it comes, at most a window ahead of what the customer says it has seen. */
import type { Channel } from "@xenoservers/protocol/channel";
import type { RunningGuest } from "../drivers/driver.ts";

const WINDOW_BYTES = 512 * 1024;
type Stream = "stdout" | "stderr";

export class Follower {
  readonly #channel: Channel;
  readonly #guest: RunningGuest;
  readonly #sent: Record<Stream, number>;
  readonly #seen: Record<Stream, number>;
  #pumping: Promise<void> | null = null;
  #again = false;
  #isAhead = false;

  constructor(channel: Channel, guest: RunningGuest, from: Record<Stream, number>) {
    this.#channel = channel;
    this.#guest = guest;
    this.#sent = { ...from };
    this.#seen = { ...from };
  }

  /** Whether it once had sent all there was. */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Followed by a `pump`. */
  seen(at: Record<Stream, number>): void {
    for (const stream of ["stdout", "stderr"] as const)
      this.#seen[stream] = Math.max(this.#seen[stream], Math.min(at[stream], this.#sent[stream]));
  }

  /** Sends what is new; resolves when there is nothing more to send now. */
  pump(): Promise<void> {
    this.#again = true;
    this.#pumping ??= this.#run().finally(() => (this.#pumping = null));
    return this.#pumping;
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      const isAll = [await this.#sendOf("stdout"), await this.#sendOf("stderr")];
      this.#isAhead ||= isAll.every(Boolean);
    }
  }

  /** Whether it was all there is; false where the window is full. */
  async #sendOf(stream: Stream): Promise<boolean> {
    while (this.#sent[stream] - this.#seen[stream] < WINDOW_BYTES) {
      const bytes = await this.#guest.readStream(stream, this.#sent[stream]);
      if (bytes.length === 0) return true;
      this.#channel.send({ t: "output", stream, offset: this.#sent[stream] }, bytes);
      this.#sent[stream] += bytes.length;
    }
    return false;
  }

  /** Whether everything up to these sizes was sent. */
  hasSent(sizes: Record<Stream, number>): boolean {
    return this.#sent.stdout >= sizes.stdout && this.#sent.stderr >= sizes.stderr;
  }
}
