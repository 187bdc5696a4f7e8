/**
 * How many bytes of long messages pass in one turn of the event loop, for all links together: whoever asks for something small waits for
 * no more than that. What is over waits for the next turn, party by party, so that nobody has more for its many links, and whoever is
 * alone has all there is. Who controls the inputs: whoever sends, how much and over how many links.
 */
const TURN_BYTES = 512 * 1024;

export class BulkTurns {
  readonly #nextTurn: (go: () => void) => void;
  readonly #waiting = new Map<string, (() => void)[]>();
  #left = TURN_BYTES;
  #isSet = false;

  constructor(nextTurn: (go: () => void) => void = setImmediate) {
    this.#nextTurn = nextTurn;
  }

  /** Whether there is room in this turn and nobody waits for it; else `go` is called once, when it is this one's turn. */
  ask(holder: string, go: () => void): boolean {
    if (this.#left > 0 && this.#waiting.size === 0) return true;
    const own = this.#waiting.get(holder);
    if (own) own.push(go);
    else this.#waiting.set(holder, [go]);
    this.#set();
    return false;
  }

  taken(bytes: number): void {
    this.#left -= bytes;
    this.#set();
  }

  #set(): void {
    if (this.#isSet) return;
    this.#isSet = true;
    this.#nextTurn(() => {
      this.#isSet = false;
      this.#left = TURN_BYTES;
      this.#goOn();
    });
  }

  #goOn(): void {
    while (this.#left > 0) {
      const [first] = this.#waiting;
      if (!first) break;
      const [holder, own] = first;
      const go = own.shift();
      // the others first, before its next
      this.#waiting.delete(holder);
      if (own.length > 0) this.#waiting.set(holder, own);
      go?.();
    }
    if (this.#waiting.size > 0) this.#set();
  }
}
