/** How many connections into one guest are open at once, through whichever channels of its lease: each may hold a window of bytes here. */

/** As many as its first eight channels had at 64 each; one program may have them all, as a port that is forwarded. */
export const TUNNELS_MAX = 512;

export class TunnelRoom {
  #taken = 0;

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
