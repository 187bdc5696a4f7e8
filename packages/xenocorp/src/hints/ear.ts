/** Listens for hints as long as it is open: again where the connection was lost, or there was none. */
import { startLoop, type Loop } from "../loops/loop.ts";
import type { Channel, Hints } from "./hints.ts";

const AGAIN_MS = 1_000;

interface EarParts {
  hints: Hints;
  channel: Channel;
  /** Also once whenever it begins to listen, for what was missed before. */
  heard(): void;
  /** Nothing is heard now. */
  failed(error: unknown): void;
}

export class Ear {
  readonly #parts: EarParts;
  readonly #loop: Loop;
  #stop: (() => void) | null = null;
  #isClosed = false;

  constructor(parts: EarParts, againMs = AGAIN_MS) {
    this.#parts = parts;
    this.#loop = startLoop(againMs, () => this.#listen(), parts.failed);
  }

  async #listen(): Promise<number> {
    if (this.#stop) return 0;
    const { hints, channel, heard } = this.#parts;
    let isLost = false;
    const lost = (): void => {
      isLost = true;
      this.#stop = null;
    };
    const stop = await hints.listen(channel, heard, lost);
    if (this.#isClosed) {
      stop();
      return 0;
    }
    if (!isLost) this.#stop = stop;
    heard();
    return 0;
  }

  /** Whoever is asked at this moment may take long to answer: nobody waits for it. */
  close(): void {
    this.#isClosed = true;
    void this.#loop.stop();
    this.#stop?.();
  }
}
