/** How many connections into one guest are open at once, through whichever channels of its lease: each may hold a window of bytes here. */

/** As many as its first eight channels had at 64 each; one program may have them all, as a port that is forwarded. */
export const TUNNELS_MAX = 512;

export class TunnelRoom {
  readonly #spares = new Set<() => boolean>();
  #taken = 0;

  /** `spare` gives up a connection that nobody says anything through any more, and says whether it had one. Returns how one leaves. */
  join(spare: () => boolean): () => void {
    this.#spares.add(spare);
    return () => void this.#spares.delete(spare);
  }

  /** Of whichever channel. */
  makeRoom(): void {
    for (const spare of this.#spares) if (spare()) return;
  }

  get isFull(): boolean {
    return this.#taken >= TUNNELS_MAX;
  }

  take(): void {
    this.#taken++;
  }

  give(): void {
    this.#taken--;
  }
}
