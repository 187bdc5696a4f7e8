/**
 * A bound in bytes on what is kept in memory for others. Where it is used up, whoever holds most is cut first: the honest hold little, for
 * they read what they are sent and finish what they begin. Who controls the inputs: whoever sends, and whoever does not read.
 */
interface Holder {
  bytes: number;
  cut(): void;
}

/** One thing that is held for somebody: a link, a body on its way. */
export interface Held {
  /** So many bytes more; false where there is no room, and nothing was added. */
  add(bytes: number): boolean;
  /** So many bytes less. */
  drop(bytes: number): void;
  /** All of it is gone. */
  end(): void;
}

export class MemoryShare {
  readonly bytesMax: number;
  readonly #holders = new Set<Holder>();
  #used = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get used(): number {
    return this.#used;
  }

  /** `cut` is called once, where this is the largest that is held and there is no room: it must lead to `end`. */
  hold(cut: () => void): Held {
    const holder: Holder = { bytes: 0, cut };
    return {
      add: (bytes) => {
        if (!this.#makeRoom(holder, bytes)) return false;
        holder.bytes += bytes;
        this.#used += bytes;
        this.#holders.add(holder);
        return true;
      },
      drop: (bytes) => this.#drop(holder, Math.min(bytes, holder.bytes)),
      end: () => this.#drop(holder, holder.bytes),
    };
  }

  #drop(holder: Holder, bytes: number): void {
    holder.bytes -= bytes;
    this.#used -= bytes;
    if (holder.bytes === 0) this.#holders.delete(holder);
  }

  /** Cuts those who hold more than the one that asks would, the largest first. */
  #makeRoom(asking: Holder, bytes: number): boolean {
    while (this.#used + bytes > this.bytesMax) {
      let largest = asking;
      let most = asking.bytes + bytes;
      for (const holder of this.#holders)
        if (holder.bytes > most) {
          largest = holder;
          most = holder.bytes;
        }
      if (largest === asking) return false;
      this.#drop(largest, largest.bytes);
      largest.cut();
    }
    return true;
  }
}
