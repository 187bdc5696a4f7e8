/**
 * What a guest says on a connection, in few messages. Its network and its ports hand on packet by packet, and a message costs the three
 * programs that it passes more than what is in it. The first after a silence goes at once; what comes soon after one goes together. Who
 * controls the inputs: the guest, when it says how much.
 */
import type { ChannelHeader } from "@xenoservers/protocol/channel";

const GATHERED_MS = 2;
/** So much waits for no more. */
const FULL_BYTES = 32 * 1024;

interface Onward {
  send(said: ChannelHeader, bytes?: Uint8Array): Promise<void>;
  sleep(ms: number): Promise<void>;
}

/** Of one tunnel. */
export class Gathering {
  readonly #data: ChannelHeader;
  readonly #onward: Onward;
  #parts: Uint8Array[] = [];
  #size = 0;
  #isGathering = false;
  /** What went last, until it is handed over. */
  #handing: Promise<void> | null = null;

  constructor(id: number, onward: Onward) {
    this.#data = { t: "data", id };
    this.#onward = onward;
  }

  /** Resolves when more may come: at once where it is gathered and nothing before it waits. */
  send(said: ChannelHeader, bytes: Uint8Array = new Uint8Array(0)): Promise<void> {
    if (said.t === "data" && bytes.length > 0) return this.#add(bytes);
    // an end comes after all that was said
    if (said.t !== "taken") void this.#handOver();
    return this.#onward.send(said, bytes);
  }

  #add(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    if (this.#isGathering && this.#size < FULL_BYTES) return this.#handing ?? Promise.resolve();
    const handed = this.#handOver();
    if (!this.#isGathering) void this.#gather();
    return handed;
  }

  async #gather(): Promise<void> {
    this.#isGathering = true;
    await this.#onward.sleep(GATHERED_MS);
    while (this.#size > 0) {
      void this.#handOver();
      await this.#onward.sleep(GATHERED_MS);
    }
    this.#isGathering = false;
  }

  async #handOver(): Promise<void> {
    const parts = this.#parts;
    this.#parts = [];
    this.#size = 0;
    if (parts.length === 0) return;
    const handing = this.#onward.send(this.#data, parts.length === 1 ? parts[0] : Buffer.concat(parts));
    this.#handing = handing;
    await handing;
    if (this.#handing === handing) this.#handing = null;
  }
}
