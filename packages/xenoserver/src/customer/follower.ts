/**
 * Sends a guest's output to one channel as it comes, as fast as the channel hands it over: no faster than its customer's own pipe takes it.
 */
import type { Channel } from "@xenoservers/protocol/channel";
import type { RunningGuest } from "../drivers/driver.ts";

type Stream = "stdout" | "stderr";

export class Follower {
  readonly #channel: Channel;
  readonly #guest: RunningGuest;
  readonly #sent: Record<Stream, number>;
  #isAhead = false;
  #over = false;

  constructor(channel: Channel, guest: RunningGuest, from: Record<Stream, number>) {
    this.#channel = channel;
    this.#guest = guest;
    this.#sent = { ...from };
  }

  /** Whether it once had sent all there was. */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Sends what is new; resolves when there is nothing more to send now. Not to be called while it runs. */
  async pump(): Promise<void> {
    await this.#sendOf("stdout");
    await this.#sendOf("stderr");
    this.#isAhead ||= !this.#over;
  }

  /** Until there is no more now. */
  async #sendOf(stream: Stream): Promise<void> {
    while (!this.#over) {
      const bytes = await this.#guest.readStream(stream, this.#sent[stream]);
      if (bytes.length === 0) return;
      const offset = this.#sent[stream];
      this.#sent[stream] += bytes.length;
      await this.#channel.send({ t: "output", stream, offset }, bytes);
    }
  }

  /** Its channel has gone. */
  stop(): void {
    this.#over = true;
  }

  /** Whether everything up to these sizes was sent. */
  hasSent(sizes: Record<Stream, number>): boolean {
    return this.#sent.stdout >= sizes.stdout && this.#sent.stderr >= sizes.stderr;
  }
}
