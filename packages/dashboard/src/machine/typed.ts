/**
 * What is typed in a terminal, on its way: in order, and what waits goes together. Who controls the inputs: whoever types, and the guest,
 * whose questions (where the cursor is, which terminal this is) a terminal answers as if the answers were typed.
 */
import { InputError } from "@xenoservers/sdk";

/** A guest that asks and asks, and reads nothing, fills no more. What is pasted while nothing waits is taken whole. */
export const WAITING_BYTES_MAX = 1024 * 1024;

/** Bytes in one place, in however small pieces they come. */
class Waiting {
  #room = new Uint8Array(256);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    if (size > this.#room.length) {
      const larger = new Uint8Array(Math.max(size, 2 * this.#room.length));
      larger.set(this.#room.subarray(0, this.#size));
      this.#room = larger;
    }
    this.#room.set(bytes, this.#size);
    this.#size = size;
  }

  taken(): Uint8Array {
    const all = this.#room.subarray(0, this.#size);
    [this.#room, this.#size] = [new Uint8Array(256), 0];
    return all;
  }
}

/** `take`: resolves when it has taken it; where it cannot, that is told (else null), and what is typed behind it is tried. */
export function typing(take: (bytes: Uint8Array) => Promise<unknown>, told: (error: unknown) => void): (bytes: Uint8Array) => void {
  const waiting = new Waiting();
  let [isBusy, isFull] = [false, false];
  const full = (): void => {
    if (!isFull) told(new InputError("the machine does not read what is typed: no more of it is held here"));
    isFull = true;
  };
  const pump = async (): Promise<void> => {
    if (isBusy) return;
    isBusy = true;
    while (waiting.size > 0) {
      isFull = false;
      await take(waiting.taken()).then(() => isFull || told(null), told);
    }
    isBusy = false;
  };
  return (bytes) => {
    if (waiting.size > 0 && waiting.size + bytes.length > WAITING_BYTES_MAX) return full();
    waiting.add(bytes);
    void pump();
  };
}

/** A terminal, as far as it is typed in. */
interface Typed {
  textarea?: (EventTarget & { ownerDocument?: { activeElement: unknown } }) | undefined;
  onData(listener: (text: string) => void): unknown;
  /** A letter for each byte. */
  onBinary(listener: (text: string) => void): unknown;
}

/**
 * Nothing counts before somebody has gone there: whatever was printed is drawn once more when it is looked at again, and what the guest
 * asked then was answered then, or is asked of nobody any more.
 */
export function typedOn(terminal: Typed, listener: (bytes: Uint8Array) => void): void {
  const { textarea } = terminal;
  let isThere = textarea !== undefined && textarea.ownerDocument?.activeElement === textarea;
  textarea?.addEventListener("focus", () => (isThere = true), { once: true, capture: true });
  const said = (bytes: Uint8Array): void => (isThere ? listener(bytes) : undefined);
  terminal.onData((text) => said(new TextEncoder().encode(text)));
  terminal.onBinary((text) => said(Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 255)));
}
