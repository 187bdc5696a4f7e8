/**
 * How a domain is asked to end by itself, and waited for: a kernel that powers down, or an image's program that hands back what it leaves.
 * Who controls the inputs: the guest, which may heed nothing of it.
 */
import type { ListedDomain } from "./listing.ts";

/** How long a kernel that was asked to power down may take, at most; an image's hands back what its program left. */
const KERNEL_MS = 10_000;
/** How often it is looked whether it has. */
const LOOK_MS = 1_000;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface PowerDownParts {
  isImage: boolean;
  ended: Promise<unknown>;
  isOver(): boolean;
  /** Its end was seen, and is being read. */
  isSettling(): boolean;
  /** Throws where it is not there. */
  id(): Promise<number>;
  found(): Promise<ListedDomain | null>;
  askToEnd(id: number): Promise<void>;
  resume(): Promise<void>;
  notResumed(error: unknown): void;
  look(found: ListedDomain): Promise<void>;
}

export class DomainPowerDown {
  readonly #parts: PowerDownParts;

  constructor(parts: PowerDownParts) {
    this.#parts = parts;
  }

  /** Resolves when it has ended, or was given so many milliseconds. */
  async within(ms: number): Promise<void> {
    const { isImage, ended, id, askToEnd, resume, notResumed } = this.#parts;
    // an image's program that stands still hears nothing, and hands nothing back
    if (isImage) await resume().catch(notResumed);
    const number = await id().catch(() => null);
    if (number !== null) await askToEnd(number).catch(() => {}); // its kernel may know nothing of that
    if (isImage) await this.#answersWithin(ms);
    else await Promise.race([ended, pause(Math.min(ms, KERNEL_MS))]);
  }

  /** Until what an image's job left was read; it is looked for, whether or not xenstore says when. */
  async #answersWithin(ms: number): Promise<void> {
    const { ended, isOver, isSettling, look } = this.#parts;
    for (const deadline = Date.now() + ms; !isOver() && Date.now() < deadline;) {
      await Promise.race([ended, pause(LOOK_MS)]);
      const found = await this.#parts.found().catch(() => null);
      if (found && found.shutdown !== null) await look(found);
    }
    if (isSettling()) await ended;
  }
}
